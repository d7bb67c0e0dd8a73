package load

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	cupline "github.com/cupline/cupline/clients/go"
	"github.com/cupline/cupline/verify/history"
)

const (
	// actEvery is how often an operator does something, look how many letters it looks at, jobRate
	// the letters a second of its jobs.
	actEvery = time.Second
	look     = 50
	jobRate  = 20
	// Of a hundred actions so many are jobs, and so many let a letter go; the others redrive one.
	jobShare, discardShare = 10, 5
	actLimit               = 20 * time.Second
)

// operator sends a tenant's dead letters again, one by one and by jobs. What may have been
// executed it includes in every other action, and says so in the reason.
type operator struct {
	tenant string
	apis   []*cupline.Client
	log    *history.Log
	random *rand.Rand
}

// run acts until ctx is done, and returns when the last action has got its answer.
func (o *operator) run(ctx context.Context) {
	pace := time.NewTicker(actEvery)
	defer pace.Stop()
	for {
		select {
		case <-pace.C:
		case <-ctx.Done():
			return
		}
		o.act(ctx)
	}
}

func (o *operator) act(ctx context.Context) {
	// What has begun gets its answer.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), actLimit)
	defer cancel()
	api, choice := o.apis[o.random.IntN(len(o.apis))], o.random.IntN(100)
	action := cupline.LetterAction{Actor: "the suite", Reason: history.WithoutMaybe, IncludeMaybe: o.random.IntN(2) == 0}
	if action.IncludeMaybe {
		action.Reason = history.WithMaybe
	}
	var letters []cupline.Letter
	for letter, err := range api.DeadLetters(ctx, cupline.Filter{"state": "open"}, look) {
		if err != nil {
			return // it comes again
		}
		letters = append(letters, letter)
	}
	if len(letters) == 0 {
		return
	}
	letter := letters[o.random.IntN(len(letters))]
	e := history.Event{Kind: history.Action, Tenant: o.tenant, Client: letter.Client, ID: string(letter.ID), CommandID: letter.CommandID,
		Executed: letter.Executed, Detail: action.Reason, Name: "redrive"}
	var err error
	switch {
	case choice < jobShare:
		e.Name = "job"
		_, err = api.StartLetterJob(ctx, cupline.LetterJob{
			Kind: "redrive", Filter: cupline.Filter{"device": letter.Device, "reason": letter.Reason}, LetterAction: action, Rate: jobRate,
		})
	case choice < jobShare+discardShare:
		e.Name = "discard"
		_, err = api.DiscardDeadLetter(ctx, letter.LetterID, action)
	default:
		var done cupline.Redriven
		done, err = api.RedriveDeadLetter(ctx, letter.LetterID, cupline.Redrive{LetterAction: action})
		e.Redrive, e.As = done.RedriveNumber, done.RedrivenAs
	}
	var problem *cupline.Problem
	if errors.As(err, &problem) {
		e.Status = problem.Status
	}
	switch {
	case err == nil:
		e.Answer = history.Accepted
	case errors.Is(err, cupline.ErrInDoubt):
		e.Answer = history.InDoubt
	default:
		e.Answer = history.Refused
	}
	o.log.Add(e)
}
