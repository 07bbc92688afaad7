package main

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhoHangsIsNotWaitedForForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var group sync.WaitGroup
		if !endsWithin(&group, time.Second) {
			t.Error("a group of nobody did not end")
		}
		over := make(chan struct{})
		group.Go(func() { <-over })
		began := time.Now()
		if endsWithin(&group, time.Second) || time.Since(began) != time.Second {
			t.Errorf("waited %v for who hangs", time.Since(began))
		}
		close(over)
	})
}
