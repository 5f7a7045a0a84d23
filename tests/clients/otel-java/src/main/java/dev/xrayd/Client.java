package dev.xrayd;

import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.api.trace.SpanKind;
import io.opentelemetry.context.Context;
import io.opentelemetry.contrib.awsxray.AwsXrayRemoteSampler;
import io.opentelemetry.sdk.resources.Resource;
import io.opentelemetry.sdk.trace.IdGenerator;
import io.opentelemetry.sdk.trace.samplers.SamplingDecision;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/**
 * OpenTelemetry's X-Ray sampler for Java. {@code sample RULE SECONDS}; see ../README.md.
 *
 * <p>The sampler does not say which rule it applied. So RULE has to sample everything where nothing else does: neither
 * the sampler's fallback (one a second and 5 %) nor any other rule takes so many requests in a row.
 */
public final class Client {
    private static final String NAME = "cap-otel-java";
    private static final long DECISION_INTERVAL_MS = 100;
    /** Targets are reported every 10 s, counted from when the rules came, with up to 0.1 s of jitter. */
    private static final long REPORT_WAIT_MS = 13_000;
    private static final int IN_A_ROW = 20;
    /** In the older semantic conventions, which are the ones the sampler reads. */
    private static final Attributes REQUEST = Attributes.of(
            AttributeKey.stringKey("http.method"), "GET",
            AttributeKey.stringKey("http.target"), "/cap",
            AttributeKey.stringKey("http.url"), "http://example.com/cap",
            AttributeKey.stringKey("http.host"), "example.com");

    private Client() {
    }

    /** The TCP part of AWS_XRAY_DAEMON_ADDRESS, which the sampler knows nothing of. */
    private static String endpoint() {
        String address = System.getenv().getOrDefault("AWS_XRAY_DAEMON_ADDRESS", "tcp:127.0.0.1:2000");
        String tcp = Arrays.stream(address.split(" ")).filter(part -> part.startsWith("tcp:")).findFirst().orElseThrow();
        return "http://" + tcp.substring("tcp:".length());
    }

    private static void sample(String rule, double seconds) throws InterruptedException {
        Resource resource = Resource.create(Attributes.of(AttributeKey.stringKey("service.name"), NAME));
        AwsXrayRemoteSampler sampler = AwsXrayRemoteSampler.newBuilder(resource).setEndpoint(endpoint()).build();
        long start = System.nanoTime();
        int decisions = 0;
        int inARow = 0;
        double maxDecisionMs = 0;
        double endMs = seconds * 1000;
        boolean matched = false;
        while (millisecondsSince(start) <= endMs) {
            String traceId = IdGenerator.random().generateTraceId();
            long began = System.nanoTime();
            SamplingDecision decision = sampler
                    .shouldSample(Context.root(), traceId, "GET /cap", SpanKind.SERVER, REQUEST, List.of())
                    .getDecision();
            maxDecisionMs = Math.max(maxDecisionMs, millisecondsSince(began));
            decisions++;
            inARow = decision == SamplingDecision.RECORD_AND_SAMPLE ? inARow + 1 : 0;
            if (inARow == IN_A_ROW && !matched) {
                matched = true;
                double afterMs = millisecondsSince(start);
                endMs = afterMs + REPORT_WAIT_MS;
                say("{\"rule\": \"%s\", \"after_ms\": %.0f, \"max_decision_ms\": %.3f}", rule, afterMs, maxDecisionMs);
            }
            Thread.sleep(DECISION_INTERVAL_MS);
        }
        if (!matched) {
            say("{\"rule\": null, \"rules_seen\": [], \"decisions\": %d, \"max_decision_ms\": %.3f}",
                    decisions, maxDecisionMs);
        }
    }

    private static void say(String format, Object... values) {
        System.out.println(String.format(Locale.ROOT, format, values));
    }

    private static double millisecondsSince(long start) {
        return (System.nanoTime() - start) / 1e6;
    }

    public static void main(String[] args) throws InterruptedException {
        if (args.length != 3 || !args[0].equals("sample")) {
            System.err.println("usage: Client sample RULE SECONDS");
            System.exit(1);
        }
        sample(args[1], Double.parseDouble(args[2]));
        System.exit(0); // the sampler's pollers may hold the process
    }
}
