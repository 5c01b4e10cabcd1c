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
    let image = Image::open(&Source::Directory(root.clone()), &OpenOptions::default()).unwrap();
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
    let limits = Limits { entries: 3, ..Limits::default() };
    let record = image.visit_layers(1, limits, |_| Record::default()).unwrap().remove(0);
    assert_eq!((record.entries.len(), record.warnings.len()), (3, 1));
    let missing = Image::open(&Source::Directory(root.join("none")), &OpenOptions::default()).unwrap();
    assert!(missing.visit_layers(1, Limits::default(), |_| Record::default()).is_err());
}
