package admin

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// RevokeAll ends the sessions of a user, by the subject that the provider gives him,
// and says how many.
func (c *Client) RevokeAll(ctx context.Context, user string) (ended int, _ error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	resp, err := c.post(ctx, "revoke", query{User: user})
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	body, err := read(resp)
	if err != nil {
		return 0, err
	}
	answer := revoked{Ended: -1}
	if json.Unmarshal(body, &answer) != nil || answer.Ended < 0 {
		return 0, stranger(resp)
	}
	return answer.Ended, nil
}

func (c *Client) post(ctx context.Context, path string, q query) (*http.Response, error) {
	body, err := json.Marshal(q)
	if err != nil {
		return nil, fmt.Errorf("ask lamplighter: %w", err)
	}
	return c.do(ctx, http.MethodPost, path, bytes.NewReader(body))
}

var errSilent = errors.New("ask lamplighter: no more of the list has come for too long")

// List calls each for the sessions of a user or, if that is empty, of everybody, one
// by one as they come, at most limit; 0 is no limit. It says whether there are more.
// An error of each ends the list and is returned.
func (c *Client) List(ctx context.Context, user string, limit int, each func(Session) error) (more bool, _ error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := time.AfterFunc(answerWithin, func() { cancel(errSilent) }) // the whole of it may take minutes
	defer silent.Stop()
	resp, err := c.post(ctx, "list", query{User: user, Limit: limit})
	if err != nil {
		return false, because(ctx, err)
	}
	defer resp.Body.Close()
	lines := bufio.NewReaderSize(resp.Body, answerMost)
	for {
		silent.Reset(answerWithin)
		text, err := lines.ReadSlice('\n')
		silent.Stop() // each may wait for a person
		if errors.Is(err, io.EOF) {
			err = errors.New("ask lamplighter: the list was cut off")
		}
		if err != nil {
			return false, because(ctx, err)
		}
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			return false, stranger(resp)
		}
		switch {
		case l.Problem != nil:
			return false, l.Problem
		case l.End != nil:
			return l.End.More, nil
		case l.Session == nil:
			return false, stranger(resp)
		}
		if err := each(*l.Session); err != nil {
			return false, err
		}
	}
}

// because prefers the reason for which ctx was ended to what came of it.
func because(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errSilent) {
		return errSilent
	}
	return err
}
