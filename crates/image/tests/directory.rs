//! Unpacked file systems, walked as one layer.

mod support;

use std::os::unix::fs::{PermissionsExt as _, symlink};

use portcullis_image::{Image, Limits, OpenOptions, Source};
use support::Record;

#[test]
fn a_directory_is_one_layer_and_nothing_outside_of_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    std::fs::create_dir_all(root.join("usr/bin")).unwrap();
    std::fs::create_dir_all(root.join("proc/1")).unwrap();
    std::fs::write(root.join("proc/1/status"), "running").unwrap();
    std::fs::write(folder.path().join("secret"), "outside").unwrap();
    std::fs::write(root.join("usr/bin/env"), "#!/bin/sh").unwrap();
    std::fs::set_permissions(root.join("usr/bin/env"), std::fs::Permissions::from_mode(0o755)).unwrap();
    symlink("../secret", root.join("link")).unwrap();
    symlink(folder.path(), root.join("loop")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(root.join("fifo")).status().unwrap().success());
    let image = Image::open(&Source::RootFs(root.clone()), &OpenOptions::default()).unwrap();
    let record = image.visit_layers(1, Limits::default(), |_| Record::default()).unwrap().remove(0);
    let outside = folder.path().to_str().unwrap();
    assert_eq!(record.warnings, []);
    assert_eq!(
        record.entries,
        [
            "special fifo".to_owned(),
            "symlink link ../secret".to_owned(),
            format!("symlink loop {outside}"),
            "directory proc".to_owned(),
            "directory usr".to_owned(),
            "directory usr/bin".to_owned(),
            "file usr/bin/env 9 #!/bin/sh".to_owned(),
        ]
    );
    // Of a folder of sources, `proc` is a folder like any other.
    let sources = Image::open(&Source::Directory(root.clone()), &OpenOptions::default()).unwrap();
    let all = sources.visit_layers(1, Limits::default(), |_| Record::default()).unwrap().remove(0);
    assert!(all.entries.contains(&"file proc/1/status 7 running".to_owned()), "{:?}", all.entries);
    let limits = Limits { entries: 3, ..Limits::default() };
    let record = image.visit_layers(1, limits, |_| Record::default()).unwrap().remove(0);
    assert_eq!((record.entries.len(), record.warnings.len()), (3, 1));
    let missing = Image::open(&Source::Directory(root.join("none")), &OpenOptions::default()).unwrap();
    assert!(missing.visit_layers(1, Limits::default(), |_| Record::default()).is_err());
}

#[test]
fn what_is_mounted_below_is_left_out_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    let mount = root.join("mnt");
    std::fs::create_dir_all(&mount).unwrap();
    std::fs::write(root.join("file"), "here").unwrap();
    let run = |program: &str, arguments: &[&str]| {
        let status = std::process::Command::new(program).args(arguments).arg(&mount).status();
        status.is_ok_and(|status| status.success())
    };
    if !run("mount", &["-t", "tmpfs", "none"]) {
        println!("skipped: mounts below a directory, for want of root");
        assert!(std::env::var_os("CI").is_none());
        return;
    }
    std::fs::write(mount.join("elsewhere"), "there").unwrap();
    let image = Image::open(&Source::RootFs(root), &OpenOptions::default()).unwrap();
    let record = image.visit_layers(1, Limits::default(), |_| Record::default());
    assert!(run("umount", &[]));
    let record = record.unwrap().remove(0);
    assert_eq!(record.entries, ["file file 4 here", "directory mnt"]);
    let [warning] = &record.warnings[..] else { panic!("{:?}", record.warnings) };
    assert!(warning.path == "mnt" && warning.kind == portcullis_model::WarningKind::Note, "{warning:?}");
}

#[test]
fn large_and_deep_directories_are_walked_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    // More names than are looked at ahead, and more directories than wait.
    let mut expected = Vec::new();
    std::fs::create_dir_all(root.join("a-large")).unwrap();
    for number in 0..4200 {
        std::fs::write(root.join(format!("a-large/{number:05}")), "x").unwrap();
    }
    for number in 0..200 {
        let path = format!("b-deep/{number:03}/one/two");
        std::fs::create_dir_all(root.join(&path)).unwrap();
        std::fs::write(root.join(&path).join("file"), "y").unwrap();
        let parents = ["", "/one", "/one/two"].map(|rest| format!("directory b-deep/{number:03}{rest}"));
        expected.push((parents, format!("file {path}/file 1 y")));
    }
    let image = Image::open(&Source::RootFs(root), &OpenOptions::default()).unwrap();
    let record = image.visit_layers(1, Limits::default(), |_| Record::default()).unwrap().remove(0);
    assert_eq!(record.warnings, []);
    let entries = record.entries;
    let large: Vec<String> = (0..4200).map(|number| format!("file a-large/{number:05} 1 x")).collect();
    assert_eq!(entries[..2], ["directory a-large", "directory b-deep"]);
    assert_eq!(entries[2..4202], large);
    let siblings: Vec<&String> = expected.iter().map(|(parents, _)| &parents[0]).collect();
    assert_eq!(entries[4202..4402].iter().collect::<Vec<_>>(), siblings);
    let below = expected.iter().flat_map(|(parents, file)| [&parents[1], &parents[2], file]);
    assert_eq!(entries[4402..].iter().collect::<Vec<_>>(), below.collect::<Vec<_>>());
}
