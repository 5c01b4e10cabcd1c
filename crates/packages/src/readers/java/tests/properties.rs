//! What holds for all archives, whole, damaged and made up.

use proptest::prelude::*;

use super::*;

fn any_archive() -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof![Just(POM), Just("lib/lib-2.jar"), Just("META-INF/MANIFEST.MF"), Just("A.class"), Just("b/")];
    let contents = prop_oneof![
        Just(library("2")),
        Just(properties("org.example", "lib", "3").into_bytes()),
        Just(b"Implementation-Version: 4\n".to_vec()),
        prop::collection::vec(any::<u8>(), 0..200),
    ];
    let descriptor = prop_oneof![
        Just(Descriptor::Signed),
        Just(Descriptor::Bare),
        Just(Descriptor::Wide),
        Just(Descriptor::BareWide)
    ];
    (
        prop::collection::vec((name, contents), 0..5),
        descriptor,
        any::<(bool, bool)>(),
        prop::collection::vec(any::<u8>(), 0..40),
    )
        .prop_map(|(files, descriptor, (is_streamed, is_deflated), preamble)| {
            let mut seen = std::collections::BTreeSet::new();
            let files: Vec<(&str, &[u8])> = files
                .iter()
                .filter(|(name, _)| seen.insert(*name))
                .map(|(name, contents)| (*name, contents.as_slice()))
                .collect();
            let archive = if is_streamed { streamed(&files, descriptor, is_deflated) } else { archive(&files) };
            [preamble, archive].concat()
        })
}

proptest! {
    #[test]
    fn the_reading_is_the_same_for_every_split(
        mut archive in any_archive(), size in 1_usize..200,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4), cut in 0_usize..50,
    ) {
        for (at, byte) in changes {
            let at = at.index(archive.len());
            archive[at] = byte;
        }
        archive.truncate(archive.len().saturating_sub(cut.saturating_sub(25)));
        let whole = read(&Java, "lib-1.jar", &archive);
        prop_assert_eq!(read_in_pieces(&Java, "lib-1.jar", &archive, size), whole.clone());
        prop_assert_eq!(read_in_pieces(&Java, "lib-1.jar", &archive, 1), whole);
    }

    #[test]
    fn an_archive_that_is_whole_has_no_gap(archive in any_archive()) {
        let reading = read(&Java, "lib-1.jar", &archive).unwrap();
        let gaps = reading.warnings.iter().filter(|warning| warning.kind == portcullis_model::WarningKind::Gap);
        prop_assert_eq!(gaps.count(), 0);
    }

    #[test]
    fn never_panics(contents: Vec<u8>, records in prop::collection::vec(
        prop_oneof![
            Just(b"PK\x03\x04".to_vec()), Just(b"PK\x01\x02".to_vec()), Just(b"PK\x05\x06".to_vec()),
            Just(b"PK\x06\x06".to_vec()), Just(b"PK\x07\x08".to_vec()), Just(vec![0xff; 4]), Just(vec![0; 8]),
            prop::collection::vec(any::<u8>(), 0..40),
        ], 0..20,
    )) {
        let _reading = read(&Java, "a.jar", &contents);
        let records = records.concat();
        prop_assert_eq!(read_in_pieces(&Java, "a.jar", &records, 3), read(&Java, "a.jar", &records));
    }
}
