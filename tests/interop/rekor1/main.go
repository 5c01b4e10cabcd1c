// Trillian with its storage in memory: log, administration and sequencer in one process, which is what Rekor 1 keeps its
// entries in. Takes the address to listen at.
package main

import (
	"context"
	"log"
	"net"
	"os"
	"time"

	"github.com/google/trillian"
	"github.com/google/trillian/extension"
	sequencing "github.com/google/trillian/log"
	"github.com/google/trillian/monitoring"
	"github.com/google/trillian/quota"
	"github.com/google/trillian/server"
	"github.com/google/trillian/server/admin"
	"github.com/google/trillian/server/interceptor"
	"github.com/google/trillian/storage/memory"
	"github.com/google/trillian/util/clock"
	"google.golang.org/grpc"
)

func main() {
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	trees := memory.NewTreeStorage()
	registry := extension.Registry{
		AdminStorage:  memory.NewAdminStorage(trees),
		LogStorage:    memory.NewLogStorage(trees, monitoring.InertMetricFactory{}),
		QuotaManager:  quota.Noop(),
		MetricFactory: monitoring.InertMetricFactory{},
	}
	services := grpc.NewServer(grpc.UnaryInterceptor(interceptor.ErrorWrapper))
	trillian.RegisterTrillianAdminServer(services, admin.New(registry, nil))
	trillian.RegisterTrillianLogServer(services, server.NewTrillianLogRPCServer(registry, clock.System))
	sequencer := sequencing.NewOperationManager(sequencing.OperationInfo{
		Registry:    registry,
		BatchSize:   100,
		NumWorkers:  1,
		RunInterval: 50 * time.Millisecond,
		TimeSource:  clock.System,
	}, sequencing.NewSequencerManager(registry, 0))
	go sequencer.OperationLoop(context.Background())
	log.Fatal(services.Serve(listener))
}
