//! Keys, and values of which nothing is kept.

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// Keys that `serde_json` itself gives a meaning when it reads any value.
const PRIVATE_KEYS: &str = "$serde_json::private::";

/// Keys by their names.
pub(super) trait Named {
    fn named(key: &str) -> Self;
}

/// Reads a key. Those with a meaning of their own to `serde_json` are left to the lenient way.
pub(super) struct KeyOf<K>(pub(super) PhantomData<K>);

impl<'a, K: Named> DeserializeSeed<'a> for KeyOf<K> {
    type Value = K;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<K, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<K: Named> Visitor<'_> for KeyOf<K> {
    type Value = K;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<K, E> {
        check_key(key).map(|()| K::named(key))
    }
}

pub(super) fn check_key<E: Error>(key: &str) -> Result<(), E> {
    if key.starts_with(PRIVATE_KEYS) {
        return Err(E::custom("a key with a meaning of its own"));
    }
    Ok(())
}

/// A key of which nothing is kept.
struct AnyKey;

impl Named for AnyKey {
    fn named(_key: &str) -> Self {
        Self
    }
}

/// A value of which nothing is kept, but that must be one `serde_json` reads: `IgnoredAny` takes numbers without end,
/// halves of surrogate pairs, and any depth.
pub(super) struct Skipped;

impl<'a> Deserialize<'a> for Skipped {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Skip)
    }
}

pub(super) struct Skip;

impl<'a> Visitor<'a> for Skip {
    type Value = Skipped;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Skipped, E> {
        Ok(Skipped)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Skipped, E> {
        Ok(Skipped)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Skipped, E> {
        Ok(Skipped)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Skipped, E> {
        Ok(Skipped)
    }

    fn visit_str<E>(self, _: &str) -> Result<Skipped, E> {
        Ok(Skipped)
    }

    fn visit_unit<E>(self) -> Result<Skipped, E> {
        Ok(Skipped)
    }

    fn visit_seq<S: SeqAccess<'a>>(self, mut seq: S) -> Result<Skipped, S::Error> {
        while let Some(Skipped) = seq.next_element()? {}
        Ok(Skipped)
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<Skipped, M::Error> {
        while let Some(AnyKey) = map.next_key_seed(KeyOf(PhantomData))? {
            let Skipped = map.next_value()?;
        }
        Ok(Skipped)
    }
}
