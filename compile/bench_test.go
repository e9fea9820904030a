package compile

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"
)

// largePipeline returns a pipeline of n jobs with what real ones have: five
// stages, hidden bases, extends, rules, needs, artifacts, variables. More than
// 5,000 jobs do not fit into the 2 MB that a file may have; they are made with
// parallel then.
func largePipeline(n int) []byte {
	copies := (n + 4999) / 5000
	n /= copies
	one := ""
	if copies > 1 {
		one = fmt.Sprintf(" 1/%d", copies)
	}
	var b bytes.Buffer
	b.WriteString(`stages: [prepare, build, test, package, deploy]
variables:
  VERSION: "1.2.3"
  REGISTRY: registry.example.com/group
  IMAGE: $REGISTRY/builder:$VERSION
  TAG: $CI_COMMIT_REF_SLUG-$CI_COMMIT_SHORT_SHA
.base:
  image: $IMAGE
  before_script:
    - set -u
    - mkdir -p out
  variables:
    LEVEL: info
.rules:
  rules:
    - if: $CI_COMMIT_TAG
      when: never
    - if: $CI_COMMIT_BRANCH == "main" && $CI_PIPELINE_SOURCE =~ /^(push|web)$/
`)
	stages := []string{"prepare", "build", "test", "package", "deploy"}
	perStage := max(1, n/len(stages))
	for i := range n {
		stage := min(i/perStage, len(stages)-1)
		fmt.Fprintf(&b, `job-%d:
  extends: [.base, .rules]
  stage: %s
  variables:
    COMPONENT: component-%d
    TARGET: $REGISTRY/$COMPONENT:$TAG
  script:
    - echo "building $COMPONENT at $CI_COMMIT_SHA"
    - make -C "$COMPONENT" all > out/log-%d.txt 2>&1
    - test -s out/log-%d.txt
  artifacts:
    paths: [out/, $COMPONENT/dist]
    expire_in: 1 week
`, i, stages[stage], i, i, i)
		// Some of the last stage wait for all earlier stages.
		if stage > 0 && (stage < len(stages)-1 || i%4 != 0) {
			fmt.Fprintf(&b, "  needs: [job-%d%s, job-%d%s]\n", i-perStage, one, (i-perStage+1)%perStage, one)
		}
		if copies > 1 {
			fmt.Fprintf(&b, "  parallel: %d\n", copies)
		}
	}
	return b.Bytes()
}

func BenchmarkCompile(b *testing.B) {
	for _, n := range []int{100, 1000, 5000, 20000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			o := Options{Source: ".gitlab-ci.yml", Data: largePipeline(n), Ref: "main"}
			b.ReportAllocs()
			for b.Loop() {
				result, found, _ := Compile(o)
				if result == nil {
					b.Fatal(found[0])
				}
				if len(result.Plan.Jobs) != n {
					b.Fatalf("%d jobs, want %d", len(result.Plan.Jobs), n)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/job")
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			b.ReportMetric(float64(m.Sys)/(1<<20), "MiB")
		})
	}
}
