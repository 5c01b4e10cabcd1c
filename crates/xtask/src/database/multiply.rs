//! Many times as many records as there are: copies with other ids, other versions, and in part other packages, the
//! same for the same input.

use std::{
    fs::File,
    io::{BufReader, BufWriter, Read as _, Write as _},
    path::Path,
};

use anyhow::Context as _;
use serde_json::Value;
use zip::{ZipArchive, ZipWriter, write::SimpleFileOptions};

/// Writes each export below `from` to the same place below `output`, with `factor` records for each; all else as is.
pub(super) fn run(from: &Path, output: &Path, factor: usize) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let target = output.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            run(&entry.path(), &target, factor)?;
            continue;
        }
        std::fs::create_dir_all(output)?;
        if entry.file_name() == "all.zip" {
            multiply(&entry.path(), &target, factor)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn multiply(from: &Path, output: &Path, factor: usize) -> anyhow::Result<()> {
    let mut archive = ZipArchive::new(BufReader::new(File::open(from)?))?;
    let mut writer = ZipWriter::new(BufWriter::new(File::create(output)?));
    let options = SimpleFileOptions::default().compression_level(Some(1));
    for index in 0..archive.len() {
        let mut member = archive.by_index(index)?;
        let mut json = Vec::new();
        member.read_to_end(&mut json)?;
        let name = member.name()?.into_owned();
        writer.start_file(&*name, options)?;
        writer.write_all(&json)?;
        // What is no record is there once.
        let Ok(record) = serde_json::from_slice::<Value>(&json) else { continue };
        for copy in 1..factor {
            writer.start_file(format!("{copy}-{name}"), options)?;
            writer.write_all(&serde_json::to_vec(&copied(record.clone(), copy))?)?;
        }
    }
    writer.finish()?.flush()?;
    Ok(())
}

/// The copy of this number of a record.
pub(crate) fn copied(mut record: Value, copy: usize) -> Value {
    change(record.get_mut("id"), &|id| other_id(id, copy));
    for list in ["aliases", "upstream", "related"] {
        for id in record.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            change(Some(id), &|id| other_id(id, copy));
        }
    }
    for affected in record.get_mut("affected").and_then(Value::as_array_mut).into_iter().flatten() {
        change(affected.pointer_mut("/package/name"), &|name| other_name(name, copy));
        for version in affected.get_mut("versions").and_then(Value::as_array_mut).into_iter().flatten() {
            change(Some(version), &|version| other_version(version, copy));
        }
        for range in affected.get_mut("ranges").and_then(Value::as_array_mut).into_iter().flatten() {
            for event in range.get_mut("events").and_then(Value::as_array_mut).into_iter().flatten() {
                for kind in ["introduced", "fixed", "last_affected"] {
                    change(event.get_mut(kind), &|version| other_version(version, copy));
                }
            }
        }
    }
    record
}

fn change(value: Option<&mut Value>, to: &dyn Fn(&str) -> String) {
    if let Some(Value::String(text)) = value {
        *text = to(text);
    }
}

/// A CVE stays one: its number gets a digit before it.
fn other_id(id: &str, copy: usize) -> String {
    let Some(at) = id.find("CVE-").filter(|at| id.len() > at + 9) else { return format!("{id}-{copy}") };
    let (year, number) = id.split_at(at + 9);
    match number.parse::<usize>() {
        Ok(number) => format!("{year}{}", copy * 10_000_000 + number),
        Err(_) => format!("{id}-{copy}"),
    }
}

/// One name in ten is kept.
fn other_name(name: &str, copy: usize) -> String {
    let sum: usize = name.bytes().map(usize::from).sum();
    if (sum + copy).is_multiple_of(10) { name.to_owned() } else { format!("{name}{copy}") }
}

/// The last number of a version is another one; `0`, and what has none, stay.
fn other_version(version: &str, copy: usize) -> String {
    let Some(end) = version.rfind(|character: char| character.is_ascii_digit()) else { return version.to_owned() };
    let start = version[..end].rfind(|character: char| !character.is_ascii_digit()).map_or(0, |at| at + 1);
    match version.get(start..=end).map(str::parse::<usize>) {
        Some(Ok(number)) if version != "0" => format!("{}{}{}", &version[..start], number + copy, &version[end + 1..]),
        _ => version.to_owned(),
    }
}
