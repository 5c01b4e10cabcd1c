//! rpm's databases: the first byte says which container the rest is, after a start that its reader takes for one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_filetree::FileHeader;
use portcullis_packages::readers_of;

fuzz_target!(|bytes: &[u8]| {
    let [kind, rest @ ..] = bytes else { return };
    let (path, start) = match kind % 4 {
        // Pages of 512 bytes.
        0 => ("var/lib/rpm/rpmdb.sqlite", [b"SQLite format 3\0\x02\0\x01\x01\0\x40\x20\x20".to_vec(), vec![0; 76]].concat()),
        1 => ("var/lib/rpm/Packages.db", b"RpmP\0\0\0\0\0\0\0\0\x01\0\0\0".to_vec()),
        2 => {
            let mut start = vec![0; 512];
            start[12..16].copy_from_slice(&0x0006_1561_u32.to_le_bytes());
            start[20..24].copy_from_slice(&512_u32.to_le_bytes());
            start[32..36].copy_from_slice(&((rest.len() / 512) as u32).to_le_bytes());
            ("var/lib/rpm/Packages", start)
        }
        // One header, which is whole as a container.
        _ => {
            let length = rest.len() as u32;
            let mut file = [&b"RpmP\0\0\0\0\0\0\0\0\x01\0\0\0"[..], &[0; 16]].concat();
            file.extend(b"Slot");
            [1, 256, 1].into_iter().for_each(|field: u32| file.extend(field.to_le_bytes()));
            while file.len() < 4096 {
                file.extend(b"Slot\0\0\0\0\0\0\0\0\0\0\0\0");
            }
            file.extend(b"BlbS");
            [1, 0, length].into_iter().for_each(|field: u32| file.extend(field.to_le_bytes()));
            file.extend(rest);
            file.resize((file.len() + 12).next_multiple_of(16) - 8, 0);
            file.extend(length.to_le_bytes());
            file.extend(b"BlbE");
            ("var/lib/rpm/Packages.db", file)
        }
    };
    let contents = if kind % 4 == 3 { start } else { [&start, rest].concat() };
    let file = FileHeader { path, size: contents.len() as u64, mode: 0o644, head: &[] };
    for (reader, _) in readers_of(&file) {
        _ = reader.read(&file, &contents);
    }
});
