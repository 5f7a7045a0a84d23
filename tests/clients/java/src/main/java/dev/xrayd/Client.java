package dev.xrayd;

import com.amazonaws.xray.AWSXRay;
import com.amazonaws.xray.AWSXRayRecorder;
import com.amazonaws.xray.AWSXRayRecorderBuilder;
import com.amazonaws.xray.emitters.DelegatingEmitter;
import com.amazonaws.xray.emitters.Emitter;
import com.amazonaws.xray.entities.Segment;
import com.amazonaws.xray.entities.Subsegment;
import com.amazonaws.xray.strategy.sampling.SamplingRequest;
import com.amazonaws.xray.strategy.sampling.SamplingResponse;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeSet;
import java.util.function.Consumer;
import java.util.stream.Collectors;

/** A real aws-xray-recorder-sdk program. {@code emit N | sample RULE SECONDS}; see ../README.md. */
public final class Client {
    private static final String NAME = "cap-java";
    private static final String TEXT =
            "zażółć 東京 🚀 \"quoted\" back\\slash <a&b> tab\t newline\n bell\7 nul\0 line\u2028separator";
    private static final long DECISION_INTERVAL_MS = 100;
    /** Targets are reported every 10 s, counted from the first decision, with up to 0.1 s of jitter. */
    private static final long REPORT_WAIT_MS = 13_000;
    /** The SDK streams subsegments once a segment has more than 100 of them. */
    private static final int STREAMED_SUBSEGMENTS = 110;

    private static final List<Consumer<Segment>> SMALL = List.of(
            segment -> { }, Client::annotated, Client::text, Client::nested, Client::failed, Client::http);

    private Client() {
    }

    /** Counts what could not be sent: the SDK only logs that. */
    private static final class CheckedEmitter extends DelegatingEmitter {
        int failures;

        CheckedEmitter(Emitter real) {
            super(real);
        }

        @Override
        public boolean sendSegment(Segment segment) {
            return counted(super.sendSegment(segment));
        }

        @Override
        public boolean sendSubsegment(Subsegment subsegment) {
            return counted(super.sendSubsegment(subsegment));
        }

        private boolean counted(boolean sent) {
            failures += sent ? 0 : 1;
            return sent;
        }
    }

    /** One decision: the rule applied, or null, and the time it took. */
    private record Decision(String rule, double tookMs) {
    }

    private static void annotated(Segment segment) {
        segment.setUser("użytkownik");
        segment.putAnnotation("text", "plain");
        segment.putAnnotation("whole", 42);
        segment.putAnnotation("float", 2.5);
        segment.putAnnotation("yes", true);
    }

    private static void text(Segment segment) {
        segment.putAnnotation("city", "東京");
        segment.putMetadata("text", TEXT);
        Map<String, Object> deep = new HashMap<>();
        deep.put("list", Arrays.asList(1, null, Map.of("a", List.of(TEXT))));
        deep.put("empty", Map.of());
        segment.putMetadata(NAME, "deep", deep);
    }

    private static void nested(Segment segment) {
        AWSXRay.createSubsegment("outer", outer -> {
            outer.putAnnotation("level", 1);
            AWSXRay.createSubsegment("S3", s3 -> {
                s3.setNamespace("aws");
                s3.putAllAws(Map.of("operation", "GetObject", "region", "us-east-1", "bucket_name", "bucket"));
                AWSXRay.createSubsegment("api.example.com", remote -> {
                    remote.setNamespace("remote");
                    remote.putHttp("request", Map.of("method", "GET", "url", "https://api.example.com/cap"));
                    remote.putHttp("response", Map.of("status", 404));
                    remote.setError(true);
                });
            });
            AWSXRay.createSubsegment("db.example.com", database -> {
                database.setNamespace("remote");
                database.putAllSql(Map.of("sanitized_query", "SELECT ?", "database_type", "PostgreSQL"));
            });
        });
    }

    private static void failed(Segment segment) {
        try {
            AWSXRay.createSubsegment("failing", Client::fail);
        } catch (IllegalStateException error) {
            segment.setFault(true); // createSubsegment has recorded the exception
        }
    }

    private static void fail() {
        throw new IllegalStateException(TEXT, new RuntimeException("cause"));
    }

    private static void http(Segment segment) {
        segment.putHttp("request", Map.of(
                "method", "GET", "url", "http://example.com/cap?q=1",
                "user_agent", "Client", "client_ip", "203.0.113.7"));
        segment.putHttp("response", Map.of("status", 429));
        segment.setError(true);
        segment.setThrottle(true);
    }

    private static void big(Segment segment) {
        segment.putMetadata("big", "x".repeat(50_000));
    }

    private static void streamed(Segment segment) {
        for (int step = 0; step < STREAMED_SUBSEGMENTS; step++) {
            AWSXRay.createSubsegment("step-" + step, () -> { });
        }
    }

    /** Segments 6 and 7 are the large and the streamed one, once each; the others go round the small shapes. */
    private static Consumer<Segment> shape(int number) {
        return switch (number) {
            case 6 -> Client::big;
            case 7 -> Client::streamed;
            default -> SMALL.get(number % SMALL.size());
        };
    }

    private static void emit(int count) throws Exception {
        CheckedEmitter emitter = new CheckedEmitter(Emitter.create());
        AWSXRay.setGlobalRecorder(AWSXRayRecorderBuilder.standard().withEmitter(emitter).build());
        for (int number = 0; number < count; number++) {
            Segment segment = AWSXRay.beginSegment(NAME); // sampled, without asking the sampling strategy
            segment.putAnnotation("number", number);
            shape(number).accept(segment);
            AWSXRay.endSegment(); // sends before it returns
            Thread.sleep(1); // the receiver's buffer is not what is tested
        }
        if (emitter.failures > 0) {
            throw new IllegalStateException(emitter.failures + " documents could not be sent");
        }
        say("{\"emitted\": %d}", count);
    }

    /** One request as the SDK's servlet filter treats it. */
    private static Decision decide(AWSXRayRecorder recorder) {
        SamplingRequest request = new SamplingRequest(NAME, "example.com", "/cap", "GET", recorder.getOrigin());
        long began = System.nanoTime();
        SamplingResponse response = recorder.getSamplingStrategy().shouldTrace(request);
        double tookMs = (System.nanoTime() - began) / 1e6;
        if (!response.isSampled()) {
            return new Decision(null, tookMs);
        }
        Segment segment = recorder.beginSegment(NAME);
        response.getRuleName().ifPresent(segment::setRuleName);
        Object rule = ((Map<?, ?>) segment.getAws().get("xray")).get("rule_name");
        recorder.endSegment();
        return new Decision((String) rule, tookMs);
    }

    private static void sample(String wanted, double seconds) throws InterruptedException {
        AWSXRayRecorder recorder = AWSXRay.getGlobalRecorder();
        long start = System.nanoTime();
        TreeSet<String> rulesSeen = new TreeSet<>();
        int decisions = 0;
        double maxDecisionMs = 0;
        double endMs = seconds * 1000;
        boolean matched = false;
        while (millisecondsSince(start) <= endMs) {
            Decision decision = decide(recorder);
            decisions++;
            maxDecisionMs = Math.max(maxDecisionMs, decision.tookMs());
            if (decision.rule() != null) {
                rulesSeen.add(decision.rule());
            }
            if (!matched && wanted.equals(decision.rule())) {
                matched = true;
                double afterMs = millisecondsSince(start);
                endMs = afterMs + REPORT_WAIT_MS;
                say("{\"rule\": %s, \"after_ms\": %.0f, \"max_decision_ms\": %.3f}",
                        quoted(wanted), afterMs, maxDecisionMs);
            }
            Thread.sleep(DECISION_INTERVAL_MS);
        }
        if (!matched) {
            String rules = rulesSeen.stream().map(Client::quoted).collect(Collectors.joining(", "));
            say("{\"rule\": null, \"rules_seen\": [%s], \"decisions\": %d, \"max_decision_ms\": %.3f}",
                    rules, decisions, maxDecisionMs);
        }
    }

    private static void say(String format, Object... values) {
        System.out.println(String.format(Locale.ROOT, format, values));
    }

    private static double millisecondsSince(long start) {
        return (System.nanoTime() - start) / 1e6;
    }

    /** Rule names are 1 to 32 characters and the harness chooses them: no control characters to think of. */
    private static String quoted(String text) {
        return '"' + text.replace("\\", "\\\\").replace("\"", "\\\"") + '"';
    }

    public static void main(String[] args) {
        try {
            if (args.length == 2 && args[0].equals("emit")) {
                emit(Integer.parseInt(args[1]));
            } else if (args.length == 3 && args[0].equals("sample")) {
                sample(args[1], Double.parseDouble(args[2]));
            } else {
                throw new IllegalArgumentException("usage: Client emit N | Client sample RULE SECONDS");
            }
        } catch (Exception error) {
            error.printStackTrace();
            System.exit(1);
        }
        System.exit(0); // the SDK's pollers are not daemon threads
    }
}
