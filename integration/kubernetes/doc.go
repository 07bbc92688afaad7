// Package kubernetes holds the manifests of deploy/kubernetes against Kubernetes' own
// code: kustomize renders them, the API's types decode them strictly, and the
// admission's rules for the level restricted judge their pods.
//
// It is a module of its own: none of Kubernetes is part of the product.
package kubernetes
