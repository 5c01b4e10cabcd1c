//! Trees of small projects.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::{PackageReader as _, readers::java_lock::JavaLock, testing::render};
use portcullis_filetree::FileHeader;

fn dependency(group: &str, artifact: &str, rest: &str) -> String {
    format!("<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>{rest}</dependency>")
}

fn parent(artifact: &str, rest: &str) -> String {
    format!(
        "<parent><groupId>org.example</groupId><artifactId>{artifact}</artifactId><version>1</version>{rest}</parent>"
    )
}

fn readings(files: &[(&str, String)]) -> Vec<Reading> {
    readings_within(LIMITS, files)
}

fn readings_within(limits: Limits, files: &[(&str, String)]) -> Vec<Reading> {
    let read = |(path, text): &(&str, String)| {
        let file = FileHeader { path, size: text.len() as u64, mode: 0o644, head: b"" };
        JavaLock.read(&file, text.as_bytes())
    };
    let mut readings: Vec<Reading> = files.iter().map(read).collect();
    let mut named: Vec<(&str, &mut Reading)> = files.iter().map(|(path, _)| *path).zip(&mut readings).collect();
    complete_within(limits, &mut named);
    readings
}

fn check(files: &[(&str, String)], expected: &Expect) {
    expected.assert_eq(&readings(files).iter().map(render).collect::<String>());
}

#[test]
fn versions_scopes_and_properties_are_inherited() {
    let managed = [
        dependency("org.yaml", "snakeyaml", "<version>${yaml}</version>"),
        dependency("junit", "junit", "<version>4.13</version><scope>test</scope>"),
        dependency("a", "ranged", "<version>[1,2)</version>"),
    ]
    .concat();
    let top = format!(
        "<project><groupId>org.example</groupId><artifactId>top</artifactId><version>1</version>\
         <properties><yaml>1.26</yaml><log>2.14.1</log></properties>\
         <dependencyManagement><dependencies>{managed}</dependencies></dependencyManagement>\
         <dependencies>{}</dependencies></project>",
        dependency("a", "open", "<version>${of.module}</version>")
    );
    let module = format!(
        "<project>{}<artifactId>module</artifactId><properties><yaml>2.0</yaml><of.module>3</of.module></properties>\
         <dependencies>{}{}{}{}{}{}</dependencies></project>",
        parent("top", ""),
        dependency("org.yaml", "snakeyaml", ""),
        dependency("junit", "junit", ""),
        dependency("org.apache.logging.log4j", "log4j-core", "<version>${log}</version>"),
        dependency("${project.groupId}", "sibling", "<version>${project.version}</version>"),
        dependency("a", "ranged", ""),
        dependency("org.springframework", "spring-core", ""),
    );
    check(
        &[("pom.xml", top), ("module/pom.xml", module)],
        &expect![[r#"
        note in pom.xml: 1 package left out: the version is written in a file that is not here, such as the parent's
        maven org.example:sibling 1, purl pkg:maven/org.example/sibling@1
        maven a:open 3, purl pkg:maven/a/open@3
        maven org.apache.logging.log4j:log4j-core 2.14.1, purl pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1
        maven org.yaml:snakeyaml 2.0, purl pkg:maven/org.yaml/snakeyaml@2.0
        note in module/pom.xml: 1 package left out: a range of versions, and not one, is asked for
        note in module/pom.xml: 1 package left out: needed for development alone
        note in module/pom.xml: 1 package left out: the version is written in a file that is not here, such as the parent's
    "#]],
    );
}

#[test]
fn parents_are_found_by_their_place_or_by_their_names() {
    let base = |artifact: &str, version: &str| {
        let managed = dependency("g", "a", &format!("<version>{version}</version>"));
        let own = format!("<groupId>org.example</groupId><artifactId>{artifact}</artifactId><version>1</version>");
        let managed = format!("<dependencyManagement><dependencies>{managed}</dependencies></dependencyManagement>");
        format!("<project>{own}{managed}</project>")
    };
    let child = |rest: &str, artifact: &str| {
        format!(
            "<project>{}<dependencies>{}</dependencies></project>",
            parent(artifact, rest),
            dependency("g", "a", "")
        )
    };
    let files = [
        ("one/base/pom.xml", base("base", "1")),
        ("one/other/pom.xml", base("other", "2")),
        ("one/two/pom.xml", child("<relativePath>../base</relativePath>", "base")),
        ("one/three/pom.xml", child("<relativePath>../other/pom.xml</relativePath>", "other")),
        ("four/pom.xml", child("<relativePath/>", "base")),
        ("five/pom.xml", child("<relativePath>../../..</relativePath>", "nowhere")),
    ];
    let found: Vec<String> = readings(&files).iter().map(render).collect();
    expect![[r#"
        maven g:a 1, purl pkg:maven/g/a@1
        maven g:a 2, purl pkg:maven/g/a@2
        maven g:a 1, purl pkg:maven/g/a@1
        note in five/pom.xml: 1 package left out: the version is written in a file that is not here, such as the parent's
    "#]].assert_eq(&found.concat());
}

#[test]
fn lists_of_versions_are_imported() {
    let list = format!(
        "<project><groupId>org.example</groupId><artifactId>list</artifactId><version>7</version><properties><v>5</v></properties>\
         <dependencyManagement><dependencies>{}{}</dependencies></dependencyManagement></project>",
        dependency("g", "a", "<version>${v}</version>"),
        dependency("g", "own", "<version>1</version>"),
    );
    let import = dependency("org.example", "list", "<version>${list}</version><type>pom</type><scope>import</scope>");
    let user = format!(
        "<project><groupId>org.example</groupId><artifactId>user</artifactId><version>1</version><properties><list>7</list></properties>\
         <dependencyManagement><dependencies>{import}{}</dependencies></dependencyManagement>\
         <dependencies>{}{}</dependencies></project>",
        dependency("g", "own", "<version>2</version>"),
        dependency("g", "a", ""),
        dependency("g", "own", ""),
    );
    check(
        &[("list/pom.xml", list), ("user/pom.xml", user)],
        &expect![[r#"
        maven g:own 2, purl pkg:maven/g/own@2
        maven g:a 5, purl pkg:maven/g/a@5
    "#]],
    );
}

#[test]
fn what_is_managed_goes_by_type_and_classifier_too() {
    let managed = [
        dependency("g", "a", "<version>1</version><type>test-jar</type><scope>test</scope>"),
        dependency("g", "a", "<version>2</version><type>jar</type>"),
        dependency("g", "a", "<version>3</version><classifier>${os}</classifier>"),
    ]
    .concat();
    let managed = format!("<dependencyManagement><dependencies>{managed}</dependencies></dependencyManagement>");
    let uses = [
        dependency("g", "a", ""),
        dependency("g", "a", "<type>test-jar</type>"),
        dependency("g", "a", "<classifier>${os}</classifier>"),
        dependency("g", "a", "<classifier>sources</classifier>"),
    ]
    .concat();
    let top =
        format!("<project><groupId>org.example</groupId><artifactId>top</artifactId><version>1</version>{managed}");
    let module = format!("<project>{}<dependencies>{uses}</dependencies></project>", parent("top", ""));
    check(
        &[
            ("pom.xml", format!("{top}</project>")),
            ("module/pom.xml", module),
            ("alone/pom.xml", format!("{top}<dependencies>{uses}</dependencies></project>")),
        ],
        &expect![[r#"
            maven g:a 2, purl pkg:maven/g/a@2
            maven g:a 3, purl pkg:maven/g/a@3
            note in module/pom.xml: 1 package left out: needed for development alone
            note in module/pom.xml: 1 package left out: the version is written in a file that is not here, such as the parent's
            maven g:a 2, purl pkg:maven/g/a@2
            maven g:a 3, purl pkg:maven/g/a@3
            note in alone/pom.xml: 1 package left out: needed for development alone
            note in alone/pom.xml: 1 package left out: the version is written in a file that is not here, such as the parent's
        "#]],
    );
}

#[test]
fn what_a_module_names_itself_takes_the_place_of_its_parent_s() {
    let open = [
        dependency("g", "own", "<version>${of.module}</version>"),
        dependency("g", "test", "<version>${of.module}</version>"),
        dependency("g", "open", "<version>${of.module}</version>"),
        dependency("g", "both", "<version>${of.module}</version>"),
        dependency("g", "both", "<version>${of.module}</version><classifier>sources</classifier>"),
    ]
    .concat();
    let top = format!(
        "<project><groupId>org.example</groupId><artifactId>top</artifactId><version>1</version>\
         <dependencies>{open}</dependencies></project>"
    );
    let own = [
        dependency("g", "own", "<version>7</version>"),
        dependency("g", "test", "<version>7</version><scope>test</scope>"),
        dependency("g", "open", "<version>${of.nobody}</version>"),
        dependency("g", "both", "<version>8</version>"),
    ]
    .concat();
    let module = format!(
        "<project>{}<properties><of.module>3</of.module></properties><dependencies>{own}</dependencies></project>",
        parent("top", "")
    );
    check(
        &[("pom.xml", top), ("module/pom.xml", module)],
        &expect![[r#"
        note in pom.xml: 5 packages left out: the version is written in a file that is not here, such as the parent's
        maven g:own 7, purl pkg:maven/g/own@7
        maven g:both 8, purl pkg:maven/g/both@8
        maven g:both 3, purl pkg:maven/g/both@3
        note in module/pom.xml: 1 package left out: needed for development alone
        note in module/pom.xml: 1 package left out: the version is written in a file that is not here, such as the parent's
    "#]],
    );
}

/// How many dependencies a reading's notes count.
fn told(reading: &Reading) -> usize {
    let notes = reading.warnings.iter().filter_map(|warning| warning.message.split_once(" packages left out"));
    notes.map(|(count, _)| count.parse::<usize>().unwrap()).sum()
}

fn is_gap(reading: &Reading) -> bool {
    reading.warnings.iter().any(|warning| warning.message.ends_with("not all was looked for"))
}

#[test]
fn nothing_is_asked_once_all_looks_are_spent() {
    let open: String = (0..1000).map(|index| dependency("g", &format!("a{index}"), "")).collect();
    let project = |artifact: &str| {
        let own = format!("<groupId>org.example</groupId><artifactId>{artifact}</artifactId><version>1</version>");
        format!("<project>{own}<dependencies>{open}</dependencies></project>")
    };
    let files = [("a/pom.xml", project("a")), ("b/pom.xml", project("b"))];
    let enough = readings(&files);
    assert_eq!(enough.iter().map(told).collect::<Vec<_>>(), [1000, 1000]);
    assert!(!enough.iter().any(is_gap));
    let short = readings_within(Limits { looks: 100, ..LIMITS }, &files);
    assert_eq!(short.iter().map(told).collect::<Vec<_>>(), [50, 0]);
    assert!(short.iter().all(is_gap));
}

#[test]
fn texts_and_properties_are_bounded() {
    let managed = |index: usize| dependency("${long}", &format!("a{index}"), "<version>1</version>");
    let managed: String = (0..100).map(managed).collect();
    let top = format!(
        "<project><groupId>org.example</groupId><artifactId>top</artifactId><version>1</version>\
         <properties><long>{}</long></properties>\
         <dependencyManagement><dependencies>{managed}</dependencies></dependencyManagement></project>",
        "x".repeat(500)
    );
    let uses: String = (0..100).map(|index| dependency("${long}", &format!("a{index}"), "")).collect();
    let module = format!("<project>{}<dependencies>{uses}</dependencies></project>", parent("top", ""));
    let files = [("pom.xml", top), ("module/pom.xml", module)];
    let whole = readings(&files);
    assert_eq!(whole[1].packages.len(), 100);
    assert!(!whole.iter().any(is_gap));
    for limits in
        [Limits { bytes: 10_000, ..LIMITS }, Limits { bytes: 100_000, ..LIMITS }, Limits { properties: 150, ..LIMITS }]
    {
        let cut = readings_within(limits, &files);
        assert!(cut[1].packages.len() < 100 && cut.iter().all(is_gap), "{limits:?}");
    }
}

/// Everything is open, everybody imports everybody, and all are each other's parents.
#[test]
fn hostile_trees_come_to_an_end() {
    let import = |index: usize| {
        dependency("org.example", &format!("p{index}"), "<version>1</version><type>pom</type><scope>import</scope>")
    };
    let imports: String = (0..40).map(import).collect();
    let open: String = (0..200).map(|index| dependency("g", &format!("a{index}"), "")).collect();
    let project = |index: usize| {
        format!(
            "<project>{}<artifactId>p{index}</artifactId><dependencyManagement><dependencies>{imports}</dependencies>\
             </dependencyManagement><dependencies>{open}</dependencies></project>",
            parent(&format!("p{}", (index + 1) % 40), "")
        )
    };
    let files: Vec<(String, String)> = (0..40).map(|index| (format!("p{index}/pom.xml"), project(index))).collect();
    let files: Vec<(&str, String)> = files.iter().map(|(path, text)| (path.as_str(), text.clone())).collect();
    let readings = readings(&files);
    assert!(readings.iter().all(|reading| reading.packages.is_empty() && !reading.warnings.is_empty()));
}

proptest! {
    #[test]
    fn never_panics(
        parents in prop::collection::vec((0_usize..4, r"(\.\./|p[0-3]|/|pom\.xml){0,4}"), 4),
        versions in prop::collection::vec(r"(\$\{[a-c]\}|1|\$\{|\}){0,3}", 4),
    ) {
        let files: Vec<(String, String)> = parents.iter().zip(&versions).enumerate().map(|(index, ((up, place), version))| {
            let own = parent(&format!("p{up}"), &format!("<relativePath>{place}</relativePath>"));
            let properties = format!("<properties><a>{version}</a><b>${{a}}</b></properties>");
            let dependencies = dependency("g", "x", &format!("<version>{version}</version>"));
            let text = format!(
                "<project>{own}<artifactId>p{index}</artifactId>{properties}<dependencies>{dependencies}</dependencies></project>"
            );
            (format!("p{index}/pom.xml"), text)
        }).collect();
        let files: Vec<(&str, String)> = files.iter().map(|(path, text)| (path.as_str(), text.clone())).collect();
        readings(&files);
    }
}
