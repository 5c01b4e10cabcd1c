//! Reading JSON that others write: of a list no more than a bound is kept, and what has the wrong type in a field that
//! does not matter is as good as absent.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// Most events, versions, packages or ids of one record taken. The largest real one has some 20,000 versions.
pub(crate) const MAX_ITEMS: usize = 100_000;

/// A list, of which the first [`MAX_ITEMS`] are kept; null is an empty one.
#[derive(Debug)]
pub(crate) struct List<T> {
    pub(crate) items: Vec<T>,
    /// How many there are.
    pub(crate) total: usize,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self { items: Vec::new(), total: 0 }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
            type Value = List<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_unit<E: Error>(self) -> Result<List<T>, E> {
                Ok(List::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<List<T>, A::Error> {
                let mut list = List::default();
                while list.total < MAX_ITEMS {
                    let Some(item) = sequence.next_element()? else { return Ok(list) };
                    list.items.push(item);
                    list.total += 1;
                }
                while sequence.next_element::<IgnoredAny>()?.is_some() {
                    list.total += 1;
                }
                Ok(list)
            }
        }
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

/// What can be made of any JSON: what it does not expect leaves it as it was.
pub(crate) trait Part<'de>: Default {
    fn text(&mut self, _text: &str) {}

    fn list<A: SeqAccess<'de>>(&mut self, mut list: A) -> Result<(), A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn object<A: MapAccess<'de>>(&mut self, mut object: A) -> Result<(), A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

/// A part that is never an error.
#[derive(Debug, Default)]
pub(crate) struct Lenient<P>(pub(crate) P);

impl<'de, P: Part<'de>> Deserialize<'de> for Lenient<P> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PartVisitor(PhantomData)).map(Self)
    }
}

struct PartVisitor<P>(PhantomData<P>);

impl<'de, P: Part<'de>> Visitor<'de> for PartVisitor<P> {
    type Value = P;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_bool<E>(self, _: bool) -> Result<P, E> {
        Ok(P::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<P, E> {
        Ok(P::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<P, E> {
        Ok(P::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<P, E> {
        Ok(P::default())
    }

    fn visit_unit<E>(self) -> Result<P, E> {
        Ok(P::default())
    }

    fn visit_str<E>(self, text: &str) -> Result<P, E> {
        let mut part = P::default();
        part.text(text);
        Ok(part)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<P, A::Error> {
        let mut part = P::default();
        part.list(list)?;
        Ok(part)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<P, A::Error> {
        let mut part = P::default();
        part.object(object)?;
        Ok(part)
    }
}

/// A text, if it is one.
#[derive(Debug, Default, Clone)]
pub(crate) struct Text(pub(crate) Option<String>);

impl Part<'_> for Text {
    fn text(&mut self, text: &str) {
        self.0 = Some(text.to_owned());
    }
}

/// Whatever of a list is of use.
#[derive(Debug)]
pub(crate) struct AnyList<P>(pub(crate) Vec<P>);

impl<P> Default for AnyList<P> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, P: Part<'de>> Part<'de> for AnyList<P> {
    fn list<A: SeqAccess<'de>>(&mut self, mut list: A) -> Result<(), A::Error> {
        while self.0.len() < MAX_ITEMS {
            let Some(Lenient(item)) = list.next_element()? else { return Ok(()) };
            self.0.push(item);
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
}
