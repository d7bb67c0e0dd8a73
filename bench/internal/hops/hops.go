// Package hops tells where a command's time goes, from the services' own histograms: what they counted during a run, to within a
// tenth, for they are native histograms, asked for in the format that carries them.
package hops

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// Hop is one part of a command's way, as a metric of a service tells it.
type Hop struct {
	// Name for the reader, Metric of the service, and the labels that a series must have.
	Name   string
	Metric string
	Labels map[string]string
}

// Counts of a histogram: how many by the exponent of the bucket, whose upper bound is 2^(exponent*2^-schema) seconds; those too
// short for a bucket under zero.
type Counts struct {
	schema  int32
	zero    float64
	buckets map[int]float64
}

// Look reads the histograms of all hops from services' internal ports, host:port, added up over services and labels.
func Look(ctx context.Context, addresses []string, hops []Hop) (map[string]Counts, error) {
	found := map[string]Counts{}
	for _, address := range addresses {
		families, err := scrape(ctx, address)
		if err != nil {
			return nil, fmt.Errorf("read the metrics of %s: %w", address, err)
		}
		for _, hop := range hops {
			for _, m := range families[hop.Metric].GetMetric() {
				if h := m.GetHistogram(); h != nil && has(m, hop.Labels) {
					found[hop.Name] = add(found[hop.Name], read(h))
				}
			}
		}
	}
	return found, nil
}

func scrape(ctx context.Context, address string) (map[string]*dto.MetricFamily, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	format := expfmt.NewFormat(expfmt.TypeProtoDelim)
	request.Header.Set("Accept", string(format))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is %s", response.Status)
	}
	families := map[string]*dto.MetricFamily{}
	decoder := expfmt.NewDecoder(response.Body, expfmt.ResponseFormat(response.Header))
	for {
		family := &dto.MetricFamily{}
		if err := decoder.Decode(family); errors.Is(err, io.EOF) {
			return families, nil
		} else if err != nil {
			return nil, err
		}
		families[family.GetName()] = family
	}
}

func has(m *dto.Metric, labels map[string]string) bool {
	for name, value := range labels {
		if !slices.ContainsFunc(m.GetLabel(), func(l *dto.LabelPair) bool { return l.GetName() == name && l.GetValue() == value }) {
			return false
		}
	}
	return true
}

// read takes the native buckets apart: spans of exponents, and the difference of each count to the one before.
func read(h *dto.Histogram) Counts {
	c := Counts{schema: h.GetSchema(), zero: float64(h.GetZeroCount()), buckets: map[int]float64{}}
	exponent, next, count := 0, 0, int64(0)
	for _, span := range h.GetPositiveSpan() {
		exponent += int(span.GetOffset())
		for range span.GetLength() {
			count += h.GetPositiveDelta()[next]
			c.buckets[exponent] = float64(count)
			exponent, next = exponent+1, next+1
		}
	}
	return c
}

// coarser has the resolution of a lower schema: 2^n of the buckets make one.
func (c Counts) coarser(schema int32) Counts {
	if c.schema <= schema {
		return c
	}
	all := Counts{schema: schema, zero: c.zero, buckets: map[int]float64{}}
	step := math.Exp2(float64(c.schema - schema))
	for exponent, count := range c.buckets {
		all.buckets[int(math.Ceil(float64(exponent)/step))] += count
	}
	return all
}

func add(a, b Counts) Counts { return combine(a, b, 1) }

// Since is what was counted after an earlier look.
func (c Counts) Since(earlier Counts) Counts { return combine(c, earlier, -1) }

func combine(a, b Counts, sign float64) Counts {
	if a.buckets == nil {
		a = Counts{schema: b.schema}
	}
	if b.buckets == nil {
		b = Counts{schema: a.schema}
	}
	schema := min(a.schema, b.schema)
	a, b = a.coarser(schema), b.coarser(schema)
	sum := Counts{schema: schema, zero: a.zero + sign*b.zero, buckets: map[int]float64{}}
	for exponent, count := range a.buckets {
		sum.buckets[exponent] += count
	}
	for exponent, count := range b.buckets {
		sum.buckets[exponent] += sign * count
	}
	return sum
}

// Count of what was observed.
func (c Counts) Count() float64 {
	total := c.zero
	for _, count := range c.buckets {
		total += count
	}
	return total
}

// Percentile is the upper bound of the bucket in which p percent of what was observed have been reached; 0 for nothing.
func (c Counts) Percentile(p float64) time.Duration {
	var exponents []int
	for exponent := range c.buckets {
		exponents = append(exponents, exponent)
	}
	slices.Sort(exponents)
	rank, reached := p/100*c.Count(), c.zero
	for _, exponent := range exponents {
		if reached >= rank {
			break
		}
		if reached += c.buckets[exponent]; reached >= rank {
			bound := math.Exp2(float64(exponent) * math.Exp2(-float64(c.schema)))
			return time.Duration(bound * float64(time.Second))
		}
	}
	return 0
}
