//! What X-Ray changes in a document before it gives it out, as recorded.

use super::super::callee::AwsService;
use serde_json::{Map, Value, json};

/// Changes the fields of a segment or subsegment: numbers of annotations become floating point, `http.request.traced`
/// and empty stacks are dropped, and a call of an AWS service names its resource.
pub(super) fn mend(fields: &mut Map<String, Value>) {
    if let Some(annotations) = inside(fields, "annotations") {
        annotations.values_mut().for_each(as_floating_point);
    }
    if let Some(request) = inside(fields, "http").and_then(|http| inside(http, "request")) {
        request.remove("traced");
    }
    if let Some(exceptions) = inside(fields, "cause").and_then(|cause| cause.get_mut("exceptions")) {
        let exceptions = exceptions.as_array_mut().into_iter().flatten();
        exceptions.filter_map(Value::as_object_mut).for_each(drop_empty_stack);
    }
    name_resource(fields);
}

fn inside<'a>(fields: &'a mut Map<String, Value>, key: &str) -> Option<&'a mut Map<String, Value>> {
    fields.get_mut(key)?.as_object_mut()
}

fn as_floating_point(annotation: &mut Value) {
    if let Some(number) = annotation.as_number().and_then(serde_json::Number::as_f64) {
        *annotation = json!(number);
    }
}

fn drop_empty_stack(exception: &mut Map<String, Value>) {
    if exception.get("stack").and_then(Value::as_array).is_some_and(Vec::is_empty) {
        exception.remove("stack");
    }
}

/// X-Ray adds `resource_names` to calls of the services whose resources are nodes, if they say which operation it was;
/// to calls of services it does not know it denies them.
fn name_resource(fields: &mut Map<String, Value>) {
    if fields.get("namespace").and_then(Value::as_str) != Some("aws") {
        return;
    }
    let service = fields.get("name").and_then(Value::as_str).and_then(AwsService::named);
    let Some(call) = inside(fields, "aws") else { return };
    let Some(service) = service else {
        call.remove("resource_names");
        return;
    };
    let resource = call.get(service.resource_key).and_then(Value::as_str).map(str::to_owned);
    if let (Some(resource), true) = (resource, call.contains_key("operation")) {
        call.entry("resource_names").or_insert_with(|| json!([resource]));
    }
}
