//! The fields of a segment or subsegment that a record is made of.
//!
//! They are read in two ways that say the same: as JSON text goes by, without building what is not needed, and from
//! the fields of a [`Document`](crate::segment::Document). The first is strict: whatever is unusual is an error, and
//! the second way decides what it means.

use super::annotations::{Annotations, Scalar};
use super::part::Part;
use super::skip::{KeyOf, Named, Skipped};
use crate::query::row::Outcome;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// What a field holds. It is filled where it stands: moving it about costs more than reading it.
pub(super) trait Field<'a>: Default {
    /// The strict way.
    fn fill<D: Deserializer<'a>>(&mut self, deserializer: D) -> Result<(), D::Error>;

    /// The lenient way: what is of another type is as good as missing. `depth` is how many levels of subsegments are
    /// still followed.
    fn of(value: Option<&'a Value>, depth: usize) -> Self;
}

/// serde's way to read into something that exists.
pub(super) struct Fill<'f, T>(pub(super) &'f mut T);

impl<'a, T: Field<'a>> DeserializeSeed<'a> for Fill<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        self.0.fill(deserializer)
    }
}

/// Defines a part of a document, and both ways to read it.
macro_rules! part {
    ($(#[$meta:meta])* $name:ident { $($field:ident: $type:ty = $key:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Default, PartialEq)]
        pub(super) struct $name<'a> {
            $(pub(super) $field: $type,)*
        }

        const _: () = {
            #[expect(non_camel_case_types, reason = "they are named as the fields")]
            #[derive(Clone, Copy)]
            enum Key { $($field,)* Other }

            impl Named for Key {
                fn named(key: &str) -> Self {
                    match key {
                        $($key => Self::$field,)*
                        _ => Self::Other,
                    }
                }
            }

            impl<'a> Visitor<'a> for Fill<'_, $name<'a>> {
                type Value = ();

                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("an object or null")
                }

                fn visit_unit<E>(self) -> Result<(), E> {
                    Ok(())
                }

                fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
                    let mut seen = 0_u32;
                    while let Some(key) = map.next_key_seed(KeyOf::<Key>(PhantomData))? {
                        let bit = 1_u32 << (key as u32);
                        match key {
                            // Of a field that stands there twice, `serde_json` keeps the last. That is left to the
                            // lenient way.
                            $(Key::$field if seen & bit == 0 => map.next_value_seed(Fill(&mut self.0.$field))?,)*
                            Key::Other => map.next_value::<Skipped>().map(drop)?,
                            _ => return Err(M::Error::custom("a field stands there twice")),
                        }
                        seen |= bit;
                    }
                    Ok(())
                }
            }

            impl<'a> Field<'a> for $name<'a> {
                fn fill<D: Deserializer<'a>>(&mut self, deserializer: D) -> Result<(), D::Error> {
                    deserializer.deserialize_any(Fill(self))
                }

                fn of(value: Option<&'a Value>, depth: usize) -> Self {
                    value.and_then(Value::as_object).map(|fields| Self::of_fields(fields, depth)).unwrap_or_default()
                }
            }

            impl<'a> $name<'a> {
                fn of_fields(fields: &'a Map<String, Value>, depth: usize) -> Self {
                    Self { $($field: Field::of(fields.get($key), depth),)* }
                }
            }
        };
    };
}

part! {
    /// A segment or subsegment.
    Entity {
        trace_id: Option<Text<'a>> = "trace_id",
        id: Option<Text<'a>> = "id",
        parent_id: Option<Text<'a>> = "parent_id",
        kind: Option<Text<'a>> = "type",
        name: Option<Text<'a>> = "name",
        namespace: Option<Text<'a>> = "namespace",
        origin: Option<Text<'a>> = "origin",
        user: Option<Text<'a>> = "user",
        resource_arn: Option<Text<'a>> = "resource_arn",
        start_time: Option<f64> = "start_time",
        end_time: Option<f64> = "end_time",
        in_progress: Option<bool> = "in_progress",
        error: Option<bool> = "error",
        fault: Option<bool> = "fault",
        throttle: Option<bool> = "throttle",
        sql: Present = "sql",
        http: Http<'a> = "http",
        aws: Aws<'a> = "aws",
        annotations: Annotations<'a> = "annotations",
        subsegments: Vec<Part<'a>> = "subsegments",
    }
}

part! {
    /// `http`
    Http {
        request: Request<'a> = "request",
        response: Response<'a> = "response",
    }
}

part! {
    /// `http.request`
    Request {
        url: Option<Text<'a>> = "url",
        method: Option<Text<'a>> = "method",
        user_agent: Option<Text<'a>> = "user_agent",
        client_ip: Option<Text<'a>> = "client_ip",
    }
}

part! {
    /// `http.response`
    Response {
        status: Status<'a> = "status",
    }
}

part! {
    /// `aws`
    Aws {
        account_id: Option<Text<'a>> = "account_id",
        ec2: Ec2<'a> = "ec2",
        operation: Present = "operation",
        table_name: Option<Text<'a>> = "table_name",
        bucket_name: Option<Text<'a>> = "bucket_name",
        queue_url: Option<Text<'a>> = "queue_url",
        topic_arn: Option<Text<'a>> = "topic_arn",
        function_name: Option<Text<'a>> = "function_name",
    }
}

part! {
    /// `aws.ec2`
    Ec2 {
        availability_zone: Option<Text<'a>> = "availability_zone",
        instance_id: Option<Text<'a>> = "instance_id",
    }
}

impl<'a> Entity<'a> {
    /// The strict way.
    pub(super) fn read(document: &'a str) -> Option<Self> {
        let mut entity = Self::default();
        let mut deserializer = serde_json::Deserializer::from_str(document);
        entity.fill(&mut deserializer).ok()?;
        deserializer.end().ok()?;
        Some(entity)
    }

    /// The lenient way.
    pub(super) fn of(fields: &'a Map<String, Value>, depth: usize) -> Self {
        Self::of_fields(fields, depth)
    }

    pub(super) fn status(&self) -> Option<i32> {
        self.http.response.status.0
    }

    /// How it went.
    pub(super) fn outcome(&self) -> Outcome {
        let flag = |flag| flag == Some(true);
        Outcome { error: flag(self.error), fault: flag(self.fault), throttle: flag(self.throttle) }
            .with_status(self.status())
    }
}

impl<'a> Aws<'a> {
    /// A field that names a resource, by the keys of [`AwsService`](crate::query::callee::AwsService).
    pub(super) fn take_resource(&mut self, key: &str) -> Option<Cow<'a, str>> {
        let field = match key {
            "table_name" => &mut self.table_name,
            "bucket_name" => &mut self.bucket_name,
            "queue_url" => &mut self.queue_url,
            "topic_arn" => &mut self.topic_arn,
            "function_name" => &mut self.function_name,
            _ => return None,
        };
        field.take().map(|Text(text)| text)
    }
}

/// The text of a field.
#[expect(clippy::ref_option, reason = "it is called on fields as they stand")]
pub(super) fn text<'a>(field: &'a Option<Text<'_>>) -> Option<&'a str> {
    field.as_ref().map(|text| &*text.0)
}

/// A text, borrowed where nothing in it is escaped.
#[derive(Debug, Default, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl<'a> Deserialize<'a> for Text<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        struct Texts;
        impl<'a> Visitor<'a> for Texts {
            type Value = Text<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E>(self, text: &'a str) -> Result<Text<'a>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'a>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Texts)
    }
}

impl<'a> Field<'a> for Option<Text<'a>> {
    fn fill<D: Deserializer<'a>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        *self = Option::deserialize(deserializer)?;
        Ok(())
    }

    fn of(value: Option<&'a Value>, _depth: usize) -> Self {
        value?.as_str().map(|text| Text(Cow::Borrowed(text)))
    }
}

impl<'a> Field<'a> for Option<f64> {
    fn fill<D: Deserializer<'a>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        *self = Option::deserialize(deserializer)?;
        Ok(())
    }

    fn of(value: Option<&'a Value>, _depth: usize) -> Self {
        value?.as_f64()
    }
}

impl<'a> Field<'a> for Option<bool> {
    fn fill<D: Deserializer<'a>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        *self = Option::deserialize(deserializer)?;
        Ok(())
    }

    fn of(value: Option<&'a Value>, _depth: usize) -> Self {
        value?.as_bool()
    }
}

impl<'a> Field<'a> for Vec<Part<'a>> {
    fn fill<D: Deserializer<'a>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(Fill(self))
    }

    fn of(value: Option<&'a Value>, depth: usize) -> Self {
        let (Some(subsegments), Some(depth)) = (value.and_then(Value::as_array), depth.checked_sub(1)) else {
            return Self::new();
        };
        let objects = subsegments.iter().filter_map(Value::as_object);
        objects.map(|fields| Part::of(&mut Entity::of_fields(fields, depth))).collect()
    }
}

impl<'a> Visitor<'a> for Fill<'_, Vec<Part<'a>>> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list or null")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<S: SeqAccess<'a>>(self, mut seq: S) -> Result<(), S::Error> {
        let mut entity = Entity::default();
        while let Some(()) = seq.next_element_seed(Fill(&mut entity))? {
            self.0.push(Part::of(&mut entity));
            entity = Entity::default();
        }
        Ok(())
    }
}

/// Whether a field is there at all.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Present(pub(super) bool);

impl<'a> Field<'a> for Present {
    fn fill<D: Deserializer<'a>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        self.0 = true;
        Skipped::deserialize(deserializer).map(|Skipped| ())
    }

    fn of(value: Option<&'a Value>, _depth: usize) -> Self {
        Self(value.is_some())
    }
}

/// `http.response.status`, a number or, from some translators, digits.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Status<'a>(Option<i32>, PhantomData<&'a ()>);

impl<'a> Field<'a> for Status<'a> {
    fn fill<D: Deserializer<'a>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        self.0 = match Scalar::deserialize(deserializer)? {
            Scalar::Unsigned(status) => i32::try_from(status).ok(),
            Scalar::Signed(status) => i32::try_from(status).ok(),
            _ => return Err(D::Error::custom("a status that is no whole number")),
        };
        Ok(())
    }

    fn of(value: Option<&'a Value>, _depth: usize) -> Self {
        let whole = value.and_then(|value| value.as_i64().or_else(|| value.as_str()?.parse().ok()));
        Self(whole.and_then(|status| i32::try_from(status).ok()), PhantomData)
    }
}
