//! What pnpm writes.

use super::*;

#[test]
fn pnpm_5_and_6_mark_what_is_for_development() {
    check(
        &NpmLock,
        "pnpm-lock.yaml",
        r"lockfileVersion: 5.4

specifiers:
  acorn: ^8.8.0

packages:

  /@s/b/1.0.0_@babel+core@7.0.0:
    resolution: {integrity: sha512-x}
    dependencies:
      acorn: 8.8.0
      alias: /real/2.0.0
    dev: false

  /acorn/8.8.0:
    resolution: {integrity: sha512-QOxyigPVrpZ2GXT+PFyZTl6TtOFc5egxHIP9IlQ+RbupQuX4RkT/Bee4/kQuC02Xkzg84JcT7oLYtDIQxp+v7w==}
    dev: true

  /real/2.0.0_acorn@8.8.0:
    resolution: {integrity: sha512-x}

  registry.example/c/3.0.0:
    resolution: {integrity: sha512-x}

  github.com/example/fork/0123456:
    resolution: {tarball: https://codeload.github.com/example/fork/tar.gz/0123456}
    name: fork
    version: 0.1.0
",
        expect![[r#"
            npm @s/b 1.0.0, purl pkg:npm/%40s/b@1.0.0, needs acorn@8.8.0 real@2.0.0
            npm real 2.0.0, purl pkg:npm/real@2.0.0
            npm c 3.0.0, purl pkg:npm/c@3.0.0
            npm fork 0.1.0, purl pkg:npm/fork@0.1.0?vcs_url=https:%2F%2Fcodeload.github.com%2Fexample%2Ffork%2Ftar.gz%2F0123456
            note in pnpm-lock.yaml: 1 package left out: needed for development alone
        "#]],
    );
    check(
        &NpmLock,
        "pnpm-lock.yaml",
        r"lockfileVersion: '6.0'

packages:

  /@testing-library/react@13.4.0(react-dom@18.2.0)(react@18.2.0):
    resolution: {integrity: sha512-x}
    peerDependencies:
      react: ^18.0.0
    dependencies:
      '@babel/runtime': 7.21.0
      alias: /react@18.2.0
      mine: link:../mine
    dev: false

  file:packages/here:
    resolution: {directory: packages/here, type: directory}
    name: here
    version: 1.0.0

  /jest@29.0.0:
    dev: true
",
        expect![[r#"
            npm @testing-library/react 13.4.0, purl pkg:npm/%40testing-library/react@13.4.0, needs @babel/runtime@7.21.0 react@18.2.0
            npm here 1.0.0, purl pkg:npm/here@1.0.0?repository_url=file:packages%2Fhere
            note in pnpm-lock.yaml: 1 package left out: needed for development alone
        "#]],
    );
}

#[test]
fn pnpm_9_is_followed_from_what_the_project_needs() {
    check(
        &NpmLock,
        "pnpm-lock.yaml",
        r"---
lockfileVersion: '9.0'

importers:

  .:
    packageManagerDependencies:
      pnpm:
        specifier: 12.0.0
        version: 12.0.0
---
lockfileVersion: '9.0'

importers:

  .:
    dependencies:
      a:
        specifier: ^1.0.0
        version: 1.0.0(peer@2.0.0)
      alias:
        specifier: npm:real@^1.0.0
        version: real@1.0.0
      mine:
        specifier: workspace:*
        version: link:packages/mine
      fork:
        specifier: github:example/fork
        version: https://codeload.github.com/example/fork/tar.gz/0123456
    devDependencies:
      typescript:
        specifier: ^5.0.0
        version: 5.0.0

packages:

  a@1.0.0:
    resolution: {integrity: sha512-x}
    peerDependencies:
      peer: ^2.0.0

  peer@2.0.0:
    resolution: {integrity: sha512-x}

  real@1.0.0:
    resolution: {integrity: sha512-x}

  typescript@5.0.0:
    resolution: {integrity: sha512-x}
    hasBin: true

  fork@https://codeload.github.com/example/fork/tar.gz/0123456:
    resolution: {tarball: https://codeload.github.com/example/fork/tar.gz/0123456}
    version: 0.1.0

snapshots:

  a@1.0.0(peer@2.0.0):
    dependencies:
      peer: 2.0.0
    optionalDependencies:
      alias: real@1.0.0

  peer@2.0.0: {}

  real@1.0.0: {}

  typescript@5.0.0: {}

  fork@https://codeload.github.com/example/fork/tar.gz/0123456: {}
",
        expect![[r#"
            npm a 1.0.0, purl pkg:npm/a@1.0.0, needs peer@2.0.0 real@1.0.0
            npm peer 2.0.0, purl pkg:npm/peer@2.0.0
            npm real 1.0.0, purl pkg:npm/real@1.0.0
            npm fork 0.1.0, purl pkg:npm/fork@0.1.0?vcs_url=https:%2F%2Fcodeload.github.com%2Fexample%2Ffork%2Ftar.gz%2F0123456
            note in pnpm-lock.yaml: 1 package left out: needed for development alone
        "#]],
    );
    check(
        &NpmLock,
        "pnpm-lock.yaml",
        "lockfileVersion: '9.0'\nimporters:\n  .:\n    dependencies:\n      a:\n        specifier: ^1\n        version: 1.0.0\n\
         packages:\n  a@1.0.0:\n    resolution: {integrity: x}\n",
        expect![[r#"
            npm a 1.0.0, purl pkg:npm/a@1.0.0
        "#]],
    );
    check(
        &NpmLock,
        "pnpm-lock.yaml",
        "lockfileVersion: 12\n",
        expect![[r#"
        gap in pnpm-lock.yaml: its packages were not read: its version 12 is not known
    "#]],
    );
}
