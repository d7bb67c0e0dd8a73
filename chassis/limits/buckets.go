// Package limits holds how often something may be done: a token bucket for each name, such as a key or an
// address, in memory, for as many of them as are allowed.
package limits

import (
	"container/list"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Buckets are token buckets of one size, by name. The zero value, and nil, limit nothing. It is safe for concurrent use.
type Buckets struct {
	perSecond rate.Limit
	burst     int
	most      int

	mu     sync.Mutex // guards the rest
	byName map[string]*list.Element
	order  *list.List // of *bucket, the last used in front
}

type bucket struct {
	name    string
	limiter *rate.Limiter
}

// New makes buckets that take perSecond tokens a second and hold burst. At most that many are kept: the one that was
// used longest ago is forgotten, and is full when it comes back. A perSecond of 0 limits nothing.
func New(perSecond float64, burst, most int) *Buckets {
	return &Buckets{
		perSecond: rate.Limit(perSecond), burst: max(burst, 1), most: max(most, 1), byName: map[string]*list.Element{}, order: list.New(),
	}
}

// Take takes n tokens from a bucket, or none; then after tells when there will be enough. More than a bucket holds cost all it
// holds.
func (b *Buckets) Take(now time.Time, name string, n int) (after time.Duration, ok bool) {
	if b == nil || b.perSecond <= 0 {
		return 0, true
	}
	reserved := b.get(name).ReserveN(now, min(n, b.burst))
	if after = reserved.DelayFrom(now); after == 0 {
		return 0, true
	}
	reserved.CancelAt(now)
	return after, false
}

// Empty reports whether a bucket has not even one token, and takes none.
func (b *Buckets) Empty(now time.Time, name string) (after time.Duration, empty bool) {
	if b == nil || b.perSecond <= 0 {
		return 0, false
	}
	missing := 1 - b.get(name).TokensAt(now)
	if missing <= 0 {
		return 0, false
	}
	return time.Duration(missing / float64(b.perSecond) * float64(time.Second)), true
}

func (b *Buckets) get(name string) *rate.Limiter {
	b.mu.Lock()
	defer b.mu.Unlock()
	if at := b.byName[name]; at != nil {
		b.order.MoveToFront(at)
		return at.Value.(*bucket).limiter
	}
	if b.order.Len() >= b.most {
		last := b.order.Back()
		delete(b.byName, last.Value.(*bucket).name)
		b.order.Remove(last)
	}
	made := &bucket{name: name, limiter: rate.NewLimiter(b.perSecond, b.burst)}
	b.byName[name] = b.order.PushFront(made)
	return made.limiter
}
