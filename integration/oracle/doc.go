// Package oracle holds certs against the two programs whose directories it reads:
// for every host directory that Docker (registry.ReadCertsDirectory) or Podman and
// Skopeo (tlsclientconfig.SetupCertificates) accept, certproxy finds the same
// pairs, in the same order, and the same CA roots.
//
// Where certproxy differs on purpose, exceptions_test.go says why, and an exception
// that is not needed any more fails. What the two refuse, and certproxy serves all
// the same, stands beside each fixture.
//
// It is a module of its own, so that nothing else is built with Docker's
// dependencies. docker/docker stays at 28.x: 29 no longer exports the function,
// whose body it still has. The code of both is used as it is.
package oracle
