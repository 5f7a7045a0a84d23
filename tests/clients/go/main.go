// A real aws-xray-sdk-go program. `client emit N` | `client sample RULE SECONDS`; see ../README.md.
//
// The SDK panics before main when AWS_XRAY_DAEMON_ADDRESS is malformed or does not resolve.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-xray-sdk-go/v2/header"
	"github.com/aws/aws-xray-sdk-go/v2/xray"
	"github.com/aws/aws-xray-sdk-go/v2/xraylog"
)

const (
	name             = "cap-go"
	text             = "zażółć 東京 🚀 \"quoted\" back\\slash <a&b> tab\t newline\n bell\a nul\x00 line\u2028separator"
	decisionInterval = 100 * time.Millisecond
	// Targets are reported every 10.1 s, counted from the first decision, with up to 0.1 s of jitter.
	reportWait = 13 * time.Second
	// The SDK streams subsegments when a segment ends with more than 20 of them.
	streamedSubsegments = 30
)

type shape func(ctx context.Context, segment *xray.Segment)

func plain(context.Context, *xray.Segment) {}

func annotated(_ context.Context, segment *xray.Segment) {
	segment.Lock()
	segment.User = "użytkownik"
	segment.Unlock()
	for key, value := range map[string]any{"text": "plain", "whole": 42, "float": 2.5, "yes": true} {
		must(segment.AddAnnotation(key, value))
	}
}

func textual(_ context.Context, segment *xray.Segment) {
	must(segment.AddAnnotation("city", "東京"))
	must(segment.AddMetadata("text", text))
	deep := map[string]any{"list": []any{1, nil, map[string]any{"a": []string{text}}}, "empty": map[string]any{}}
	must(segment.AddMetadataToNamespace(name, "deep", deep))
}

func nested(ctx context.Context, _ *xray.Segment) {
	outerCtx, outer := xray.BeginSubsegment(ctx, "outer")
	must(outer.AddAnnotation("level", 1))

	s3Ctx, s3 := xray.BeginSubsegment(outerCtx, "S3")
	s3.Lock()
	s3.Namespace = "aws"
	s3.AWS = map[string]any{"operation": "GetObject", "region": "us-east-1", "bucket_name": "bucket"}
	s3.Unlock()
	_, remote := xray.BeginSubsegment(s3Ctx, "api.example.com")
	remote.Lock()
	remote.Namespace = "remote"
	remote.GetHTTP().GetRequest().Method = http.MethodGet
	remote.GetHTTP().GetRequest().URL = "https://api.example.com/cap"
	remote.GetHTTP().GetResponse().Status = http.StatusNotFound
	remote.Error = true
	remote.Unlock()
	remote.Close(nil)
	s3.Close(nil)

	_, database := xray.BeginSubsegment(outerCtx, "db.example.com")
	database.Lock()
	database.Namespace = "remote"
	database.GetSQL().SanitizedQuery = "SELECT ?"
	database.GetSQL().DatabaseType = "PostgreSQL"
	database.Unlock()
	database.Close(nil)
	outer.Close(nil)
}

func failed(ctx context.Context, segment *xray.Segment) {
	_ = xray.Capture(ctx, "failing", func(context.Context) error { return errors.New(text) })
	segment.Lock()
	segment.Fault = true
	segment.Unlock()
}

func httpShape(_ context.Context, segment *xray.Segment) {
	segment.Lock()
	defer segment.Unlock()
	*segment.GetHTTP().GetRequest() = xray.RequestData{
		Method: http.MethodGet, URL: "http://example.com/cap?q=1", UserAgent: "client", ClientIP: "203.0.113.7",
	}
	segment.GetHTTP().GetResponse().Status = http.StatusTooManyRequests
	segment.Error, segment.Throttle = true, true
}

func big(_ context.Context, segment *xray.Segment) {
	must(segment.AddMetadata("big", strings.Repeat("x", 50_000)))
}

func streamed(ctx context.Context, _ *xray.Segment) {
	for step := range streamedSubsegments {
		_, child := xray.BeginSubsegment(ctx, fmt.Sprintf("step-%d", step))
		child.Close(nil)
	}
}

var small = []shape{plain, annotated, textual, nested, failed, httpShape}

// Segments 6 and 7 are the large and the streamed one, once each; the others go round the small shapes.
func shapeOf(number int) shape {
	switch number {
	case 6:
		return big
	case 7:
		return streamed
	default:
		return small[number%len(small)]
	}
}

// begin treats one request as the SDK's HTTP handler does.
func begin(decision header.SamplingDecision) (context.Context, *xray.Segment) {
	request, err := http.NewRequest(http.MethodGet, "http://example.com/cap", nil)
	must(err)
	return xray.BeginSegmentWithSampling(context.Background(), name, request, &header.Header{SamplingDecision: decision})
}

// errorLog counts what the SDK could not send: it only logs that, and by default to standard output.
type errorLog struct{ seen atomic.Int64 }

func (log *errorLog) Log(level xraylog.LogLevel, message fmt.Stringer) {
	if level >= xraylog.LogLevelError {
		log.seen.Add(1)
		fmt.Fprintln(os.Stderr, message)
	}
}

func emit(count int, log *errorLog) {
	for number := range count {
		ctx, segment := begin(header.Sampled)
		must(segment.AddAnnotation("number", number))
		shapeOf(number)(ctx, segment)
		segment.Close(nil)           // sends before it returns
		time.Sleep(time.Millisecond) // the receiver's buffer is not what is tested
	}
	if log.seen.Load() > 0 {
		must(errors.New("the SDK reported an error"))
	}
	answer(map[string]any{"emitted": count})
}

// decide returns the name of the rule applied to one request, if any, and how long the decision took.
func decide() (string, time.Duration) {
	began := time.Now()
	_, segment := begin(header.Unknown)
	took := time.Since(began)
	rule := ""
	if sdk, ok := segment.GetAWS()["xray"].(xray.SDK); ok && segment.Sampled {
		rule = sdk.RuleName
	}
	segment.Close(nil)
	return rule, took
}

func sample(wanted string, limit time.Duration) {
	start := time.Now()
	rulesSeen := []string{}
	decisions := 0
	var longest, matchedAt time.Duration
	for matchedAt == 0 && time.Since(start) <= limit || matchedAt != 0 && time.Since(start) <= matchedAt+reportWait {
		rule, took := decide()
		decisions++
		longest = max(longest, took)
		if rule != "" && !slices.Contains(rulesSeen, rule) {
			rulesSeen = append(rulesSeen, rule)
		}
		if rule == wanted && matchedAt == 0 {
			matchedAt = time.Since(start)
			answer(map[string]any{
				"rule": rule, "after_ms": matchedAt.Milliseconds(), "max_decision_ms": milliseconds(longest),
			})
		}
		time.Sleep(decisionInterval)
	}
	if matchedAt == 0 {
		slices.Sort(rulesSeen)
		answer(map[string]any{
			"rule": nil, "rules_seen": rulesSeen, "decisions": decisions, "max_decision_ms": milliseconds(longest),
		})
	}
}

func milliseconds(duration time.Duration) float64 {
	return float64(duration.Microseconds()) / 1000
}

func answer(value map[string]any) {
	line, err := json.Marshal(value)
	must(err)
	fmt.Println(string(line))
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	args := os.Args[1:]
	log := &errorLog{}
	xray.SetLogger(log)
	switch {
	case len(args) == 2 && args[0] == "emit":
		count, err := strconv.Atoi(args[1])
		must(err)
		emit(count, log)
	case len(args) == 3 && args[0] == "sample":
		seconds, err := strconv.ParseFloat(args[2], 64)
		must(err)
		sample(args[1], time.Duration(seconds*float64(time.Second)))
	default:
		must(errors.New("usage: client emit N | client sample RULE SECONDS"))
	}
}
