// Package rig starts what the integration tests need: certproxy itself, real
// servers with a configuration rendered for the test, and clients with an
// environment of their own.
//
// It knows how to run things and what they answered. What ought to be answered
// is for the tests to say.
package rig
