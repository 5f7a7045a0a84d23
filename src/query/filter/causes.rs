//! What is asked of root causes.

use super::super::cause::{CauseEntity, CauseException, CauseService, RootCause, RootCauses};
use super::scope::{Scope, holds_inside};
use super::{Cause, CauseElement, Expression, Flag, Measure, Side, Test, Text};
use serde_json::Value;

/// Whether a root cause has an element for which the inner expression holds. Entities are counted along the whole way,
/// across its services; so are exceptions: the last one is where the guide looks for what went wrong.
pub(super) fn any_part(causes: &RootCauses, cause: Cause, element: CauseElement, inner: &Expression) -> bool {
    of(causes, cause).iter().any(|cause| {
        let parts = parts(cause, element);
        let last = parts.len().saturating_sub(1);
        let mut places = parts.into_iter().enumerate();
        places.any(|(index, part)| holds_inside(Some(inner), &Place { index, is_last: index == last, part }))
    })
}

fn of(causes: &RootCauses, cause: Cause) -> &[RootCause] {
    match cause {
        Cause::Fault => &causes.fault,
        Cause::Error => &causes.error,
        Cause::ResponseTime => &causes.response_time,
    }
}

fn parts(cause: &RootCause, element: CauseElement) -> Vec<Part<'_>> {
    let entities = cause.services.iter().flat_map(|service| &service.entity_path);
    match element {
        CauseElement::Service => cause.services.iter().map(Part::Service).collect(),
        CauseElement::Entity => entities.map(Part::Entity).collect(),
        CauseElement::Exception => {
            entities.flat_map(|entity| entity.exceptions.iter().flatten()).map(Part::Exception).collect()
        }
    }
}

/// An element on the way to a cause, and where on the way it is.
struct Place<'c> {
    index: usize,
    is_last: bool,
    part: Part<'c>,
}

enum Part<'c> {
    Service(&'c CauseService),
    Entity(&'c CauseEntity),
    Exception(&'c CauseException),
}

impl Scope for Place<'_> {
    fn flag(&self, flag: Flag) -> bool {
        match (flag, &self.part) {
            (Flag::First, _) => self.index == 0,
            (Flag::Last, _) => self.is_last,
            (Flag::Inferred, Part::Service(service)) => service.inferred,
            (Flag::Remote, Part::Entity(entity)) => entity.remote,
            _ => false,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a way is not that long")]
    fn measure(&self, measure: Measure) -> Option<f64> {
        match (measure, &self.part) {
            (Measure::Index, _) => Some(self.index as f64),
            (Measure::Coverage, Part::Entity(entity)) => entity.coverage,
            _ => None,
        }
    }

    fn any_text(&self, which: Text, test: &Test) -> bool {
        let is = |text: &str| test.text(text);
        match (which, &self.part) {
            (Text::Name, Part::Service(service)) => {
                is(&service.name) || service.names.iter().any(|name| is(name))
            }
            (Text::Type, Part::Service(service)) => !service.r#type.is_empty() && is(&service.r#type),
            (Text::AccountId, Part::Service(service)) => service.account_id.as_deref().is_some_and(is),
            (Text::Name, Part::Entity(entity)) => is(&entity.name),
            (Text::Name, Part::Exception(exception)) => is(&exception.name),
            (Text::Message, Part::Exception(exception)) => is(&exception.message),
            _ => false,
        }
    }

    fn any_annotation(&self, _: Side, _: &str, _: &Test) -> bool {
        false
    }
}

/// Whether root causes, of one kind or of any, contain a shape: what it leaves out does not matter, what its lists have
/// is there in the same order. A shape that asks for nothing is that of every trace with a root cause.
pub(super) fn contain(causes: &RootCauses, cause: Option<Cause>, shape: &Value) -> bool {
    let all = [Cause::Fault, Cause::Error, Cause::ResponseTime];
    all.into_iter()
        .filter(|one| cause.is_none_or(|cause| cause == *one))
        .map(|one| of(causes, one))
        .filter(|causes| !causes.is_empty())
        .filter_map(|causes| serde_json::to_value(causes).ok())
        .any(|found| match shape {
            Value::Array(_) => contains(&found, shape),
            // A single cause, without the list around it.
            _ => found.as_array().is_some_and(|all| all.iter().any(|one| contains(one, shape))),
        })
}

/// Recursion ends with the shape, which is as deep as JSON may be.
fn contains(found: &Value, shape: &Value) -> bool {
    match (found, shape) {
        (Value::Array(found), Value::Array(shape)) => {
            let mut found = found.iter();
            shape.iter().all(|wanted| found.any(|one| contains(one, wanted)))
        }
        (Value::Object(found), Value::Object(shape)) => shape.iter().all(|(key, wanted)| {
            let mut fields = found.iter().filter(|(known, _)| known.eq_ignore_ascii_case(key));
            fields.next().map_or(wanted.is_null(), |(_, value)| contains(value, wanted))
        }),
        (Value::Number(found), Value::Number(shape)) => found.as_f64() == shape.as_f64(),
        // The type of a service is empty where X-Ray has null.
        (Value::String(found), Value::Null) => found.is_empty(),
        (found, shape) => found == shape,
    }
}
