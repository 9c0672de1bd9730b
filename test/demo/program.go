package main

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"sync"

	"github.com/lamplighter/lamplighter/test/child"
)

// program starts a binary of bin/ and hands each line of its log to read.
func (d *demo) program(name string, read func(entry), args ...string) error {
	r, w := io.Pipe()
	cmd := exec.Command(filepath.Join("bin", name), args...)
	cmd.Stderr = w
	var reading sync.WaitGroup
	reading.Go(func() { d.follow(r, name, read) })
	d.undo = append(d.undo, reading.Wait)
	if err := d.process(cmd, name, func() { _ = w.Close() }); err != nil {
		return fmt.Errorf("%w; make demo builds it", err)
	}
	return nil
}

// process starts cmd, and calls over when it has ended.
func (d *demo) process(cmd *exec.Cmd, name string, over func()) error {
	p, err := child.Start(cmd)
	if err != nil {
		over()
		return fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		_ = p.Wait()
		over()
		d.ended <- name
	}()
	d.undo = append(d.undo, func() { _ = p.Stop(stopWithin) })
	return nil
}

func (d *demo) provider(ctx context.Context) error {
	issuer := make(chan string, 1)
	err := d.program("devop", func(e entry) { d.tellProvider(e, issuer) },
		"--listen", "127.0.0.1:0", "--client-secret-file", d.file("client-secret"), "--access-token-life", d.life.String(),
		"--redirect-uri", "http://localhost:"+d.port+"/auth/callback",
		"--post-logout-redirect-uri", "http://localhost:"+d.port+"/")
	if err != nil {
		return err
	}
	d.issuer, err = d.await(ctx, issuer, "the provider")
	return err
}

// await is what a program tells once it has started.
func (d *demo) await(ctx context.Context, told <-chan string, who string) (string, error) {
	select {
	case s := <-told:
		return s, nil
	case name := <-d.ended:
		return "", fmt.Errorf("%s did not start; its last lines are above", name)
	case <-ctx.Done():
		return "", fmt.Errorf("wait for %s: %w", who, ctx.Err())
	}
}
