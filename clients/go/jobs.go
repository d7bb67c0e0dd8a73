package cupline

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// LetterJob redrives or discards every open letter that a filter chooses, or opens discarded ones again.
type LetterJob struct {
	// Kind is "redrive", "discard" or "undo".
	Kind string `json:"kind"`
	// Filter has "from", "device", "group" and so on; empty chooses all.
	Filter Filter `json:"filter"`
	LetterAction
	// Rate is letters a second; 0 is the platform's usual.
	Rate int `json:"rate,omitempty"`
	// Canary is how many letters a redrive sends first, and waits for.
	Canary int `json:"canary,omitempty"`
	// StopAbove is the percentage of failures among StopAfter or more outcomes above which a redrive pauses itself;
	// nil is the platform's usual.
	StopAbove *int `json:"stop_above,omitempty"`
	StopAfter *int `json:"stop_after,omitempty"`
}

// JobState is how far a job is.
type JobState struct {
	JobID string `json:"job_id"`
	Kind  string `json:"kind"`
	State string `json:"state"`
	// Stopped is why the job paused itself.
	Stopped string           `json:"stopped,omitempty"`
	Filter  json.RawMessage  `json:"filter,omitempty"`
	Rate    int              `json:"rate"`
	Total   int64            `json:"total"`
	Waiting int64            `json:"waiting"`
	Results map[string]int64 `json:"results"`
	// Outcomes counts the commands that were sent by what they came to; Awaited are not known yet.
	Outcomes  map[string]int64 `json:"outcomes"`
	Awaited   int64            `json:"awaited"`
	Canary    int              `json:"canary"`
	CanaryDue bool             `json:"canary_due"`
	StopAbove int              `json:"stop_above"`
	StopAfter int              `json:"stop_after"`
	Actor     string           `json:"actor"`
	Reason    string           `json:"reason"`
	CreatedAt time.Time        `json:"created_at,omitzero"`
}

// DryRun is what a job would meet.
type DryRun struct {
	Letters       int64         `json:"letters"`
	Maybe         int64         `json:"maybe"`
	Held          int64         `json:"held"`
	OlderThanADay int64         `json:"older_than_a_day"`
	Groups        []LetterGroup `json:"groups"`
}

// JobItem is what became of one letter of a job.
type JobItem struct {
	Position int64  `json:"position"`
	LetterID string `json:"letter_id"`
	Result   string `json:"result"`
	Detail   string `json:"detail,omitempty"`
	// Outcome of the command that it was sent again as, CommandID.
	CommandID string `json:"command_id,omitempty"`
	Outcome   string `json:"outcome,omitempty"`
}

const (
	jobsPath = "/v1/dead-letter-jobs"
	jobsPage = 100
)

// StartLetterJob starts a job.
func (c *Client) StartLetterJob(ctx context.Context, j LetterJob) (s JobState, err error) {
	err = c.postJob(ctx, j.Tenant, "", j, &s)
	return s, err
}

// TryLetterJob tells what a job would meet, and does nothing.
func (c *Client) TryLetterJob(ctx context.Context, j LetterJob) (d DryRun, err error) {
	err = c.postJob(ctx, j.Tenant, "", struct {
		LetterJob
		DryRun bool `json:"dry_run"`
	}{j, true}, &d)
	return d, err
}

// LetterJobState is how far a job is; tenant "" is the key's own.
func (c *Client) LetterJobState(ctx context.Context, tenant, jobID string) (s JobState, err error) {
	err = c.do(ctx, request{method: http.MethodGet, path: jobsPath + "/" + url.PathEscape(jobID), query: of(tenant)}, &s)
	return s, err
}

// LetterJobs lists up to limit jobs (0: all), the newest first; the filter may have "tenant", "kind" and "state".
func (c *Client) LetterJobs(ctx context.Context, f Filter, limit int) iter.Seq2[JobState, error] {
	return walkBy[JobState](ctx, c, jobsPath, "jobs", f, limit, jobsPage)
}

// ChangeLetterJob does "pause", "resume" or "cancel" to a job.
func (c *Client) ChangeLetterJob(ctx context.Context, jobID, what string, a LetterAction) (s JobState, err error) {
	err = c.postJob(ctx, a.Tenant, "/"+url.PathEscape(jobID)+"/"+what, a, &s)
	return s, err
}

// LetterJobItems lists what became of each letter of a job.
func (c *Client) LetterJobItems(ctx context.Context, tenant, jobID string) iter.Seq2[JobItem, error] {
	return walk[JobItem](ctx, c, jobsPath+"/"+url.PathEscape(jobID)+"/items", "items", of(tenant), 0)
}

func (c *Client) postJob(ctx context.Context, tenant, path string, body, into any) error {
	content, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("post a job: %w: %w", ErrRefused, err)
	}
	return c.do(ctx, request{method: http.MethodPost, path: jobsPath + path, query: of(tenant), body: content}, into)
}
