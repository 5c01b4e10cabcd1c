//! Reading the variable-length records of the file. The pages under a record were checked; lengths are bounded all
//! the same, so that even a database built to harm gives an error.

use portcullis_model::LookupError;

/// Takes fields off a record.
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(crate) fn byte(&mut self) -> Result<u8, LookupError> {
        let (&first, rest) = self.bytes.split_first().ok_or_else(short)?;
        self.bytes = rest;
        Ok(first)
    }

    /// What was not taken yet.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    pub(crate) fn number(&mut self) -> Result<u64, LookupError> {
        let mut value = 0;
        for shift in (0..63).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(short())
    }

    /// A number of things that take at least one byte each.
    pub(crate) fn count(&mut self) -> Result<usize, LookupError> {
        let count = usize::try_from(self.number()?).map_err(|_error| short())?;
        if count > self.bytes.len() { Err(short()) } else { Ok(count) }
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], LookupError> {
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or_else(short)?;
        self.bytes = rest;
        Ok(taken)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, LookupError> {
        let length = self.count()?;
        std::str::from_utf8(self.take(length)?).map_err(|_error| LookupError("a text is not UTF-8".into()))
    }

    pub(crate) fn optional_text(&mut self) -> Result<Option<&'a str>, LookupError> {
        match usize::try_from(self.number()?).map_err(|_error| short())? {
            0 => Ok(None),
            length => std::str::from_utf8(self.take(length - 1)?)
                .map(Some)
                .map_err(|_error| LookupError("a text is not UTF-8".into())),
        }
    }

    pub(crate) fn texts(&mut self) -> Result<Vec<&'a str>, LookupError> {
        let count = self.count()?;
        (0..count).map(|_| self.text()).collect()
    }
}

fn short() -> LookupError {
    LookupError("a record ends early".into())
}
