//! Java packages that a project asks for: Gradle's, sbt's and Ivy's files, and Maven's own model.
//!
//! Formats: <https://docs.gradle.org/current/userguide/dependency_locking.html>,
//! <https://maven.apache.org/ref/3.9.9/maven-model/maven.html>,
//! <https://github.com/stringbean/sbt-dependency-lock>, <https://ant.apache.org/ivy/history/2.5.2/ivyfile.html>.
//! A `pom.xml` names its own dependencies alone, not theirs, and may leave versions to a parent, which is another file.

use std::collections::BTreeMap;

use portcullis_filetree::FileHeader;
use portcullis_model::{MavenDependency, PackageType, Reading};

use super::java::{
    self,
    pom::{Pom, name_and_key},
};
use crate::{
    PackageReader, Scope, Selection, fields, limits,
    lockfile::{Listing, is_of_others, reasons},
    tree, xml,
};

/// Reads them.
pub(crate) struct JavaLock;

/// What a file is, by its name.
enum Format {
    Gradle,
    Maven,
    Sbt,
    Ivy,
}

impl Format {
    fn of(file: &FileHeader<'_>) -> Option<Self> {
        match file.file_name() {
            "gradle.lockfile" | "buildscript-gradle.lockfile" | "settings-gradle.lockfile" => Some(Self::Gradle),
            // One file for each configuration, before Gradle 7.
            name if name.ends_with(".lockfile") && file.parent().ends_with("dependency-locks") => Some(Self::Gradle),
            "pom.xml" if !java::is_unpacked(file.path) => Some(Self::Maven),
            "build.sbt.lock" => Some(Self::Sbt),
            "ivy.xml" => Some(Self::Ivy),
            _ => None,
        }
    }
}

impl PackageReader for JavaLock {
    fn name(&self) -> &'static str {
        "java-lock"
    }

    fn reads(&self) -> &'static str {
        "`**/gradle.lockfile`, `**/buildscript-gradle.lockfile`, `**/settings-gradle.lockfile`, \
         `**/dependency-locks/*.lockfile`, `**/pom.xml`, `**/build.sbt.lock`, `**/ivy.xml`"
    }

    fn scope(&self) -> Scope {
        Scope::Declared
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        let is_wanted = Format::of(file).is_some() && !is_of_others(file.path);
        is_wanted.then_some(Selection::Whole { limit: limits::LOCKFILE })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        let listing = Listing::new(PackageType::Maven, file);
        match Format::of(file) {
            Some(Format::Gradle) => gradle(listing, contents),
            Some(Format::Maven) => maven(listing, file, contents),
            Some(Format::Sbt) => sbt(listing, file, contents),
            Some(Format::Ivy) => ivy(listing, contents),
            None => listing.finish(),
        }
    }
}

/// `group:artifact:version=configuration,…`; before Gradle 6.8 without what follows the equals sign.
fn gradle(mut listing: Listing<'_>, contents: &[u8]) -> Reading {
    for line in fields::lines(contents).map(<[u8]>::trim_ascii) {
        let line = fields::text(line);
        let (coordinates, configurations) = line.split_once('=').unwrap_or((&line, ""));
        if line.starts_with('#') || coordinates.is_empty() || coordinates == "empty" {
            continue;
        }
        match coordinates.rsplit_once(':') {
            Some((name, version)) if name.contains(':') && !version.is_empty() => {
                let is_for_tests = |name: &str| name.starts_with("test") || name.contains("Test");
                if !configurations.is_empty() && configurations.split(',').all(is_for_tests) {
                    listing.leave_out(reasons::DEVELOPMENT);
                } else {
                    listing.add(name, version, Vec::new());
                }
            }
            _ => listing.gap(format!("a line that was not understood: {}", line.chars().take(100).collect::<String>())),
        }
    }
    listing.finish()
}

/// Versions that are written here, by a property of this file, or by its `dependencyManagement`. The rest is left to
/// [`crate::complete_maven`], which sees the parents.
fn maven(mut listing: Listing<'_>, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
    let mut pom = match Pom::parse(contents) {
        Ok(pom) => pom,
        Err(error) => return Listing::unreadable(file, error),
    };
    if pom.named > pom.dependencies.len() {
        listing.gap(format!("it names more than {} dependencies: the others were not read", pom.dependencies.len()));
    }
    let named = |dependency: &MavenDependency| name_and_key(dependency, &|text| pom.resolve(text));
    let managed = pom.project.managed.iter().rev().filter(|managed| managed.scope != "import");
    let managed = managed.filter_map(|managed| Some((named(managed)?.1, managed)));
    let managed: BTreeMap<String, &MavenDependency> = managed.collect();
    let (mut open, mut closed) = (Vec::new(), Vec::new());
    for dependency in &pom.dependencies {
        let named = named(dependency);
        let managed = named.as_ref().and_then(|(_, key)| managed.get(key));
        let scope = managed.map(|managed| managed.scope.as_str()).filter(|_| dependency.scope.is_empty());
        if is_for_development(scope.unwrap_or(&dependency.scope)) {
            listing.leave_out(reasons::DEVELOPMENT);
            closed.extend(named.map(|(_, key)| key));
            continue;
        }
        let managed = managed.map_or("", |managed| managed.version.as_str());
        let written = if dependency.version.is_empty() { managed } else { dependency.version.as_str() };
        match named.zip(pom.resolve(written)) {
            // `[1.0]` is this one; other ranges mean what is newest on the day.
            Some(((name, key), version)) => {
                match exact(&version) {
                    Some(version) => listing.add(&name, version, Vec::new()),
                    None => listing.leave_out(reasons::RANGE),
                }
                closed.push(key);
            }
            None => open.push(dependency.clone()),
        }
    }
    (pom.project.open, pom.project.closed) = (open, closed);
    Reading { maven: Some(Box::new(pom.project)), ..listing.finish() }
}

/// Whether a scope is for tests alone, or, as `import`, brings nothing.
pub(crate) fn is_for_development(scope: &str) -> bool {
    matches!(scope, "test" | "import")
}

/// A version that is one alone: not `[1,2)`, `1.+` nor `latest.release`.
pub(crate) fn exact(version: &str) -> Option<&str> {
    let one = version.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(version);
    let is_one =
        !one.is_empty() && !one.contains([',', '[', ']', '(', ')', '+', '*', '$']) && !one.starts_with("latest.");
    is_one.then_some(one)
}

/// JSON, with configurations.
fn sbt(mut listing: Listing<'_>, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
    let document = match tree::json(contents) {
        Ok(document) => document,
        Err(why) => return Listing::unreadable(file, why),
    };
    for dependency in document.get("dependencies").items() {
        let configurations = dependency.get("configurations");
        let (Some(group), Some(name), Some(version)) =
            (dependency.text_of("org"), dependency.text_of("name"), dependency.text_of("version"))
        else {
            listing.gap("a dependency has no name or no version");
            continue;
        };
        if configurations.texts().next().is_some() && configurations.texts().all(|name| name.starts_with("test")) {
            listing.leave_out(reasons::DEVELOPMENT);
        } else {
            listing.add(&format!("{group}:{name}"), version, Vec::new());
        }
    }
    listing.finish()
}

/// Direct dependencies, in attributes.
fn ivy(mut listing: Listing<'_>, contents: &[u8]) -> Reading {
    let mut organisation = String::new();
    let read = xml::elements(contents, &mut |element| match element.path {
        "ivy-module/info" => element.attribute("organisation").unwrap_or_default().clone_into(&mut organisation),
        "ivy-module/dependencies/dependency" => {
            // Without one, it is of this module's own organisation.
            let group = element.attribute("org").unwrap_or(&organisation);
            match (element.attribute("name"), element.attribute("rev").and_then(exact)) {
                (Some(name), Some(version)) if !group.is_empty() => {
                    listing.add(&format!("{group}:{name}"), version, Vec::new());
                }
                _ => listing.leave_out(reasons::RANGE),
            }
        }
        _ => {}
    });
    if let Err(error) = read {
        listing.gap(format!("not read to its end: {error}"));
    }
    listing.finish()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{check, read};

    #[test]
    fn gradle_names_configurations() {
        check(
            &JavaLock,
            "app/gradle.lockfile",
            "# This is a Gradle generated file\ncom.google.guava:guava:20.0=compileClasspath,runtimeClasspath\n\
             junit:junit:4.12=testCompileClasspath,testRuntimeClasspath\nnonsense\nempty=annotationProcessor\n",
            expect![[r#"
                maven com.google.guava:guava 20.0, purl pkg:maven/com.google.guava/guava@20.0
                gap in app/gradle.lockfile: a line that was not understood: nonsense
                note in app/gradle.lockfile: 1 package left out: needed for development alone
            "#]],
        );
        check(
            &JavaLock,
            "gradle/dependency-locks/compile.lockfile",
            "org.yaml:snakeyaml:1.26\n",
            expect![[r#"
            maven org.yaml:snakeyaml 1.26, purl pkg:maven/org.yaml/snakeyaml@1.26
        "#]],
        );
    }

    #[test]
    fn maven_versions_may_be_properties_and_managed() {
        check(
            &JavaLock,
            "pom.xml",
            "<project xmlns='http://maven.apache.org/POM/4.0.0'><groupId>g</groupId><version>2</version>\
             <properties><log4j.version>2.14.1</log4j.version></properties>\
             <dependencyManagement><dependencies><dependency><groupId>org.yaml</groupId><artifactId>snakeyaml</artifactId>\
             <version>1.26</version></dependency></dependencies></dependencyManagement><dependencies>\
             <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-core</artifactId>\
             <version>${log4j.version}</version><exclusions><exclusion><groupId>x</groupId></exclusion></exclusions></dependency>\
             <dependency><groupId>${project.groupId}</groupId><artifactId>own</artifactId><version>${project.version}</version></dependency>\
             <dependency><groupId>org.yaml</groupId><artifactId>snakeyaml</artifactId></dependency>\
             <dependency><groupId>org.springframework</groupId><artifactId>spring-core</artifactId></dependency>\
             <dependency><groupId>a</groupId><artifactId>b</artifactId><version>[1,2)</version></dependency>\
             <dependency><groupId>junit</groupId><artifactId>junit</artifactId><version>4.12</version><scope>test</scope></dependency>\
             </dependencies></project>",
            expect![[r#"
                maven org.apache.logging.log4j:log4j-core 2.14.1, purl pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1
                maven g:own 2, purl pkg:maven/g/own@2
                maven org.yaml:snakeyaml 1.26, purl pkg:maven/org.yaml/snakeyaml@1.26
                note in pom.xml: 1 package left out: a range of versions, and not one, is asked for
                note in pom.xml: 1 package left out: needed for development alone
            "#]],
        );
        check(
            &JavaLock,
            "pom.xml",
            "<project><dependencies>",
            expect![[r#"
            gap in pom.xml: its packages were not read: no end of 2 elements
        "#]],
        );
    }

    #[test]
    fn dependencies_beyond_the_limit_are_a_gap() {
        let one = "<dependency><groupId>g</groupId><artifactId>a</artifactId><version>1</version></dependency>";
        let pom = format!("<project><dependencies>{}</dependencies></project>", one.repeat(20_001));
        check(
            &JavaLock,
            "pom.xml",
            pom,
            expect![[r#"
                maven g:a 1, purl pkg:maven/g/a@1
                gap in pom.xml: it names more than 20000 dependencies: the others were not read
            "#]],
        );
    }

    #[test]
    fn sbt_and_ivy() {
        check(
            &JavaLock,
            "build.sbt.lock",
            r#"{"lockVersion": 1, "dependencies": [
                {"org": "org.scala-lang", "name": "scala-library", "version": "2.12.10", "configurations": ["compile", "test"]},
                {"org": "org.scalatest", "name": "scalatest_2.12", "version": "3.0.8", "configurations": ["test"]}, {}]}"#,
            expect![[r#"
                maven org.scala-lang:scala-library 2.12.10, purl pkg:maven/org.scala-lang/scala-library@2.12.10
                gap in build.sbt.lock: a dependency has no name or no version
                note in build.sbt.lock: 1 package left out: needed for development alone
            "#]],
        );
        check(
            &JavaLock,
            "ivy.xml",
            "<ivy-module version='2.0'><info organisation='org.example' module='app'/><dependencies>\
             <dependency org='commons-cli' name='commons-cli' rev='1.0'/><dependency name='own' rev='2'/>\
             <dependency org='a' name='b' rev='latest.integration'/></dependencies></ivy-module>",
            expect![[r#"
                maven commons-cli:commons-cli 1.0, purl pkg:maven/commons-cli/commons-cli@1.0
                maven org.example:own 2, purl pkg:maven/org.example/own@2
                note in ivy.xml: 1 package left out: a range of versions, and not one, is asked for
            "#]],
        );
    }

    #[test]
    fn files_of_others_are_not_selected() {
        let selects = |path| JavaLock.select(&FileHeader { path, size: 1, mode: 0o644, head: b"" }).is_some();
        assert!(selects("pom.xml") && selects("a/gradle.lockfile"));
        assert!(!selects("node_modules/a/pom.xml") && !selects("a.lockfile") && !selects("effective-pom.xml"));
        assert!(!selects("srv/app/META-INF/maven/g/a/pom.xml"));
    }

    proptest! {
        #[test]
        fn never_panics(contents: Vec<u8>, text in "[a:=,\\[\\]{}<>\"/ \n]{0,60}") {
            for path in ["gradle.lockfile", "pom.xml", "build.sbt.lock", "ivy.xml"] {
                let _reading = read(&JavaLock, path, &contents);
                let _reading = read(&JavaLock, path, text.as_bytes());
            }
        }
    }
}
