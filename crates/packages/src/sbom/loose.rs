//! JSON that is read for what it has: a field of another type than the format gives it is as good as absent.

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};

/// What a visitor has no use for.
macro_rules! passed_over {
    ($($visit:ident($($kind:ty)?)),*) => {
        $(fn $visit<E: serde::de::Error>(self, $(_: $kind)?) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        })*
    };
}

pub(super) use passed_over;

/// A string, borrowed where it can be; a number as its digits; anything else as nothing.
#[derive(Debug, Default, Clone)]
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(text.into()))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(text.to_owned().into()))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Text<'de>, E> {
                Ok(Text(number.to_string().into()))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Text<'de>, E> {
                Ok(Text(number.to_string().into()))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Text<'de>, E> {
                Ok(Text(number.to_string().into()))
            }

            passed_over!(visit_bool(bool), visit_unit());

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Text<'de>, A::Error> {
                drain(list)?;
                Ok(Text::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Text<'de>, A::Error> {
                drain_map(map)?;
                Ok(Text::default())
            }
        }

        deserializer.deserialize_any(Any)
    }
}

/// An object; anything else as an empty one.
#[derive(Debug, Default)]
pub(super) struct Loose<T>(pub(super) T);

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for Loose<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut found = None;
        deserializer.deserialize_any(Shapes {
            object: |map| found = Some(map),
            item: |_: IgnoredAny| (),
            kinds: PhantomData,
        })?;
        Ok(Self(found.unwrap_or_default()))
    }
}

/// Calls a function with each object of a list, one at a time; an object in the place of a list counts as its only item.
pub(super) struct Each<T, F>(F, PhantomData<T>);

impl<T, F: FnMut(T)> Each<T, F> {
    pub(super) fn new(take: F) -> Self {
        Self(take, PhantomData)
    }
}

impl<'de, T: Deserialize<'de> + Default, F: FnMut(T)> DeserializeSeed<'de> for Each<T, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        // One function for both shapes: only one of them is met.
        let take = std::cell::RefCell::new(self.0);
        deserializer.deserialize_any(Shapes {
            object: |object: T| (take.borrow_mut())(object),
            item: |item: Loose<T>| (take.borrow_mut())(item.0),
            kinds: PhantomData,
        })
    }
}

/// A list of strings, or one string.
#[derive(Debug, Default)]
pub(super) struct Texts<'a>(pub(super) Vec<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Texts<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Strings;

        impl<'de> Visitor<'de> for Strings {
            type Value = Texts<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Texts<'de>, E> {
                Ok(Texts(vec![text.into()]))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Texts<'de>, E> {
                Ok(Texts(vec![text.to_owned().into()]))
            }

            passed_over!(visit_bool(bool), visit_unit(), visit_u64(u64), visit_i64(i64), visit_f64(f64));

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Texts<'de>, A::Error> {
                let mut texts = Vec::new();
                while let Some(Text(text)) = list.next_element()? {
                    if !text.is_empty() {
                        texts.push(text);
                    }
                }
                Ok(Texts(texts))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Texts<'de>, A::Error> {
                drain_map(map)?;
                Ok(Texts::default())
            }
        }

        deserializer.deserialize_any(Strings)
    }
}

/// What is done with an object and with the items of a list; anything else is passed over.
struct Shapes<T, I, O, F> {
    object: O,
    item: F,
    kinds: PhantomData<(T, I)>,
}

impl<'de, T, I, O, F> Visitor<'de> for Shapes<T, I, O, F>
where
    T: Deserialize<'de>,
    I: Deserialize<'de>,
    O: FnMut(T),
    F: FnMut(I),
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    passed_over!(visit_str(&str), visit_bool(bool), visit_unit(), visit_u64(u64), visit_i64(i64), visit_f64(f64));

    fn visit_map<A: MapAccess<'de>>(mut self, map: A) -> Result<(), A::Error> {
        (self.object)(T::deserialize(MapAccessDeserializer::new(map))?);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(item) = list.next_element()? {
            (self.item)(item);
        }
        Ok(())
    }
}

/// Passes over the rest of a list.
pub(super) fn drain<'de, A: SeqAccess<'de>>(mut list: A) -> Result<(), A::Error> {
    while list.next_element::<IgnoredAny>()?.is_some() {}
    Ok(())
}

/// Passes over the rest of an object.
pub(super) fn drain_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<(), A::Error> {
    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(())
}
