//! The database of rpm, in miniature: headers, and the container that SUSE uses for them.
//!
//! Formats: <https://rpm-software-management.github.io/rpm/manual/format_header.html>, and
//! <https://github.com/rpm-software-management/rpm/blob/rpm-4.20.0-release/lib/backend/ndb/rpmpkg.c>

/// A package of rpm's database.
#[derive(Debug, Clone, Default)]
pub struct RpmPackage {
    texts: Vec<(u32, String)>,
    epoch: Option<u32>,
    provides: Vec<String>,
    requires: Vec<String>,
    /// Path, mode, flags, state.
    files: Vec<(String, u16, u32, u8)>,
}

/// Types of values.
const INT8: u32 = 2;
const INT16: u32 = 3;
const INT32: u32 = 4;
const STRING: u32 = 6;
const BINARY: u32 = 7;
const STRING_ARRAY: u32 = 8;

impl RpmPackage {
    /// A package of `[epoch:]version-release`, for x86_64.
    #[must_use]
    pub fn new(name: &str, version: &str) -> Self {
        let (epoch, rest) = version.split_once(':').map_or((None, version), |(epoch, rest)| (Some(epoch), rest));
        let (version, release) = rest.split_once('-').unwrap_or((rest, ""));
        let package = Self { epoch: epoch.map(|epoch| epoch.parse().expect("an epoch")), ..Self::default() };
        package.text(1000, name).text(1001, version).text(1002, release).text(1022, "x86_64")
    }

    /// Any tag of one text.
    #[must_use]
    pub fn text(mut self, tag: u32, value: &str) -> Self {
        self.texts.push((tag, value.to_owned()));
        self
    }

    /// The file that it was built from: `openssl-1.1.1k-5.el8.src.rpm`.
    #[must_use]
    pub fn source_rpm(self, file: &str) -> Self {
        self.text(1044, file)
    }

    /// Its vendor.
    #[must_use]
    pub fn vendor(self, vendor: &str) -> Self {
        self.text(1011, vendor)
    }

    /// The label of the module that it belongs to: `nodejs:18:8090020231019152822:a75119d5`.
    #[must_use]
    pub fn module_label(self, label: &str) -> Self {
        self.text(5096, label)
    }

    /// A name that it provides.
    #[must_use]
    pub fn provides(mut self, name: &str) -> Self {
        self.provides.push(name.to_owned());
        self
    }

    /// A name that it needs.
    #[must_use]
    pub fn requires(mut self, name: &str) -> Self {
        self.requires.push(name.to_owned());
        self
    }

    /// A regular file of it.
    #[must_use]
    pub fn file(self, path: &str) -> Self {
        self.file_as(path, 0o100_644, 0, 0)
    }

    /// A file with its mode, flags and state.
    #[must_use]
    pub fn file_as(mut self, path: &str, mode: u16, flags: u32, state: u8) -> Self {
        self.files.push((path.to_owned(), mode, flags, state));
        self
    }

    /// Its header, as the database holds it.
    #[must_use]
    pub fn header(&self) -> Vec<u8> {
        let mut header = Header::default();
        // Real headers start with a region that says how much of them is signed.
        header.add(63, BINARY, 16, &[0; 16]);
        for (tag, text) in &self.texts {
            header.add(*tag, STRING, 1, &terminated(std::slice::from_ref(text)));
        }
        if let Some(epoch) = self.epoch {
            header.add(1003, INT32, 1, &epoch.to_be_bytes());
        }
        header.texts(1047, &self.provides);
        header.texts(1049, &self.requires);
        let count = self.files.len();
        let folders: Vec<String> = self.files.iter().map(|(path, ..)| split(path).0.to_owned()).collect();
        let names: Vec<String> = self.files.iter().map(|(path, ..)| split(path).1.to_owned()).collect();
        let numbers = |number: fn(&(String, u16, u32, u8)) -> Vec<u8>| self.files.iter().flat_map(number).collect();
        let (states, modes): (Vec<u8>, Vec<u8>) =
            (numbers(|file| vec![file.3]), numbers(|file| file.1.to_be_bytes().to_vec()));
        let flags: Vec<u8> = numbers(|file| file.2.to_be_bytes().to_vec());
        if count > 0 {
            header.add(1029, INT8, count, &states);
            header.add(1030, INT16, count, &modes);
            header.add(1037, INT32, count, &flags);
            let indexes: Vec<u8> = (0..count as u32).flat_map(u32::to_be_bytes).collect();
            header.add(1116, INT32, count, &indexes);
        }
        header.texts(1117, &names);
        header.texts(1118, &folders);
        header.finish()
    }
}

/// Folder, with its slash, and name.
fn split(path: &str) -> (&str, &str) {
    path.split_at(path.rfind('/').map_or(0, |at| at + 1))
}

fn terminated(texts: &[String]) -> Vec<u8> {
    texts.iter().flat_map(|text| text.bytes().chain([0])).collect()
}

#[derive(Default)]
struct Header {
    index: Vec<u8>,
    store: Vec<u8>,
}

impl Header {
    fn add(&mut self, tag: u32, kind: u32, count: usize, value: &[u8]) {
        // Numbers lie at multiples of their size.
        let align = match kind {
            INT16 => 2,
            INT32 => 4,
            _ => 1,
        };
        self.store.resize(self.store.len().next_multiple_of(align), 0);
        for field in [tag, kind, self.store.len() as u32, count as u32] {
            self.index.extend(field.to_be_bytes());
        }
        self.store.extend_from_slice(value);
    }

    fn texts(&mut self, tag: u32, texts: &[String]) {
        if !texts.is_empty() {
            self.add(tag, STRING_ARRAY, texts.len(), &terminated(texts));
        }
    }

    fn finish(self) -> Vec<u8> {
        let entries = (self.index.len() / 16) as u32;
        [&entries.to_be_bytes()[..], &(self.store.len() as u32).to_be_bytes(), &self.index, &self.store].concat()
    }
}

/// `usr/lib/sysimage/rpm/Packages.db` of these packages.
#[must_use]
pub fn rpm_database(packages: &[RpmPackage]) -> Vec<u8> {
    rpm_database_of(&packages.iter().map(RpmPackage::header).collect::<Vec<_>>())
}

/// The same, of any bytes in the place of headers; up to 254 of them.
#[must_use]
pub fn rpm_database_of(headers: &[Vec<u8>]) -> Vec<u8> {
    assert!(headers.len() <= 254, "one page of slots");
    let little = |fields: &[u32]| fields.iter().flat_map(|field| field.to_le_bytes()).collect::<Vec<u8>>();
    let mut slots = [b"RpmP", &little(&[0, 1, 1, headers.len() as u32 + 1, 0, 0, 0])[..]].concat();
    let mut blocks = Vec::new();
    for (number, header) in (1..).zip(headers) {
        let start = (4096 + blocks.len()) / 16;
        let mut blob = [b"BlbS", &little(&[number, 1, header.len() as u32])[..], header].concat();
        blob.resize((blob.len() + 12).next_multiple_of(16) - 12, 0);
        let sum = adler32(&blob);
        blob.extend(little(&[sum, header.len() as u32]));
        blob.extend(b"BlbE");
        slots.extend([b"Slot", &little(&[number, start as u32, (blob.len() / 16) as u32])[..]].concat());
        blocks.extend(blob);
    }
    while slots.len() < 4096 {
        slots.extend([b"Slot", &little(&[0, 0, 0])[..]].concat());
    }
    [slots, blocks].concat()
}

fn adler32(bytes: &[u8]) -> u32 {
    let (a, b) = bytes.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (a + b) % 65_521)
    });
    b << 16 | a
}
