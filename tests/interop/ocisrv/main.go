// A registry in memory with the referrers API of OCI 1.1, for tests: CUE Labs' ociregistry behind a listener.
package main

import (
	"flag"
	"fmt"
	"net/http"
	"os"

	"cuelabs.dev/go/oci/ociregistry/ocimem"
	"cuelabs.dev/go/oci/ociregistry/ociserver"
)

func main() {
	address := flag.String("addr", "127.0.0.1:5000", "where to listen")
	flag.Parse()
	if err := http.ListenAndServe(*address, ociserver.New(ocimem.New(), nil)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
