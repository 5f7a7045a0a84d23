//! The `aws` block and the `origin` of a span.

use super::attributes::Attributes;
use super::object::Object;
use serde_json::Value;

/// Whether a span is a call of an AWS service by one of its SDKs.
pub(super) fn is_sdk_call(span: &Attributes<'_>) -> bool {
    let system = span.peek(&["rpc.system", "rpc.system.name"]);
    system == Some("aws-api") || span.has(&["aws.service"])
}

/// `aws` of a call: what is called.
pub(super) fn of_call(span: &Attributes<'_>) -> Object {
    let is_call = is_sdk_call(span);
    let method = if is_call { span.text(&["rpc.method"]) } else { None };
    // The stable conventions write `Service/Operation`.
    let method = method.map(|method| method.rsplit('/').next().unwrap_or(method));
    let tables = span.texts("aws.dynamodb.table_names");
    let (table, tables) = match *tables.as_slice() {
        [] => (span.text(&["aws.table_name", "aws.table.name"]), None),
        [table] => (Some(table), None),
        _ => (None, Some(tables.into_iter().map(Value::from).collect::<Value>())),
    };
    let region =
        if is_call { span.text(&["aws.region", "cloud.region"]) } else { span.text(&["aws.region"]) };
    Object::default()
        .with("operation", span.text(&["aws.operation"]).or(method))
        .with("account_id", span.text(&["aws.account_id"]))
        .with("region", region)
        .with("request_id", span.text(&["aws.request_id", "aws.requestId"]))
        .with(
            "queue_url",
            span.text(&["aws.sqs.queue.url", "messaging.url", "aws.queue_url", "aws.queue.url"]),
        )
        .with("table_name", table)
        .with("table_names", tables)
        .with("bucket_name", span.text(&["aws.s3.bucket", "aws.bucket.name"]))
        .with("topic_arn", span.text(&["aws.sns.topic.arn"]))
        .with("function_name", span.text(&["aws.lambda.function.name", "faas.invoked_name"]))
}

/// `aws.xray`: who wrote the span.
pub(super) fn of_sdk(span: &Attributes<'_>, resource: &Attributes<'_>) -> Object {
    let name = resource.text(&["telemetry.sdk.name"]);
    let sdk = name.map(|name| match resource.text(&["telemetry.sdk.language"]) {
        Some(language) => format!("{name} for {language}"),
        None => name.to_owned(),
    });
    let automatic = resource.has(&["telemetry.auto.version", "telemetry.distro.version"]);
    Object::default()
        .with("auto_instrumentation", sdk.is_some().then_some(automatic))
        .with("sdk", sdk)
        .with("sdk_version", resource.text(&["telemetry.sdk.version"]))
        .with("sampling_rule_name", span.text(&["aws.xray.sampling_rule"]))
}

/// `aws` of a service: where it runs.
pub(super) fn of_service(resource: &Attributes<'_>) -> Object {
    if !is_aws(resource) {
        return Object::default();
    }
    let text = |key| resource.text(&[key]);
    let platform = platform(resource);
    let mut aws = Object::default().with("account_id", text("cloud.account.id"));
    if platform == Some("_ec2") || text("host.id").is_some() {
        aws = aws.with_object(
            "ec2",
            Object::default()
                .with("instance_id", text("host.id"))
                .with("availability_zone", text("cloud.availability_zone"))
                .with("instance_size", text("host.type"))
                .with("ami_id", text("host.image.id")),
        );
    }
    if platform == Some("_ecs") {
        aws = aws.with_object("ecs", ecs(resource));
    }
    if platform == Some("_eks") || text("k8s.cluster.name").is_some() {
        aws = aws.with_object(
            "eks",
            Object::default()
                .with("cluster_name", text("k8s.cluster.name"))
                .with("pod", text("k8s.pod.name"))
                .with("container_id", text("container.id")),
        );
    }
    if platform == Some("_elastic_beanstalk") {
        aws = aws.with_object(
            "elastic_beanstalk",
            Object::default()
                .with("environment_name", text("service.namespace"))
                .with("version_label", text("service.version"))
                .with("deployment_id", resource.number(&["service.instance.id"])),
        );
    }
    aws.with("cloudwatch_logs", log_groups(resource))
}

fn ecs(resource: &Attributes<'_>) -> Object {
    let text = |key| resource.text(&[key]);
    Object::default()
        .with("container", text("container.name"))
        .with("container_id", text("container.id"))
        .with("availability_zone", text("cloud.availability_zone"))
        .with("container_arn", text("aws.ecs.container.arn"))
        .with("cluster_arn", text("aws.ecs.cluster.arn"))
        .with("task_arn", text("aws.ecs.task.arn"))
        .with("task_family", text("aws.ecs.task.family"))
        .with("launch_type", text("aws.ecs.launchtype"))
}

/// By their ARNs, in whose seventh part the name stands, else by their names.
fn log_groups(resource: &Attributes<'_>) -> Option<Value> {
    let arns = resource.texts("aws.log.group.arns");
    let named = |name: &str| Object::default().with("log_group", Some(name));
    let groups: Vec<Value> = if arns.is_empty() {
        resource.texts("aws.log.group.names").into_iter().map(|name| Value::Object(named(name).0)).collect()
    } else {
        let group = |arn: &str| named(arn.split(':').nth(6).unwrap_or(arn)).with("arn", Some(arn));
        arns.into_iter().map(|arn| Value::Object(group(arn).0)).collect()
    };
    (!groups.is_empty()).then_some(Value::Array(groups))
}

fn is_aws(resource: &Attributes<'_>) -> bool {
    resource.text(&["cloud.provider"]).is_none_or(|provider| provider == "aws")
}

/// `cloud.platform` without its `aws` in front.
fn platform<'a>(resource: &Attributes<'a>) -> Option<&'a str> {
    resource.text(&["cloud.platform"])?.strip_prefix("aws")
}

/// `origin`. The exporter knows no Lambda, because X-Ray writes the segments of functions itself; here nobody else does.
pub(super) fn origin(resource: &Attributes<'_>) -> Option<&'static str> {
    if !is_aws(resource) {
        return None;
    }
    Some(match platform(resource)? {
        "_ec2" => "AWS::EC2::Instance",
        "_ecs" => match resource.text(&["aws.ecs.launchtype"]) {
            Some(launch) if launch.eq_ignore_ascii_case("ec2") => "AWS::ECS::EC2",
            Some(launch) if launch.eq_ignore_ascii_case("fargate") => "AWS::ECS::Fargate",
            _ => "AWS::ECS::Container",
        },
        "_eks" => "AWS::EKS::Container",
        "_elastic_beanstalk" => "AWS::ElasticBeanstalk::Environment",
        "_app_runner" => "AWS::AppRunner::Service",
        "_lambda" => "AWS::Lambda::Function",
        _ => return None,
    })
}
