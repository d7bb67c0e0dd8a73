package suite

// beside is what others publish of their tests, for comparison. Each line names its source.
const beside = `
## Beside others

What is published of comparable tests, as read in November 2026. None of these are figures of ours, and none are of the
same path: they are told to show what is injected and checked elsewhere.

| | injected | checked | published |
| --- | --- | --- | --- |
| RabbitMQ, its Jepsen suite for quorum queues ([rabbitmq/jepsen](https://github.com/rabbitmq/jepsen/blob/main/ci/jepsen-test.sh)) | network partitions in four shapes (random halves, halves, ring of majorities, one random node) of 10 s and 30 s, 12 settings of 180 s each | one queue, in two settings with dead-lettering: what was confirmed is read, and the queue is empty at the end | source and logs; passes or fails per release |
| NATS JetStream 2.12.1, by Jepsen ([analysis](https://jepsen.io/analyses/nats-2.12.1)) | process kills and pauses, partitions, simulated power failure, truncated and corrupted files, membership changes | acknowledged writes are read back, nodes agree | losses after corrupted files, and after power failures because the default flushes every two minutes; a loss by process crashes in 2.10.22, mended in 2.10.23 |
| Temporal ([pre-production testing](https://github.com/temporalio/documentation/blob/main/docs/best-practices/pre-production-testing.mdx), [omes](https://github.com/temporalio/omes)) | what users are advised to inject themselves: workers killed and restarted, the network cut, regional failover, dependencies broken | what users are advised to watch: duplicate activity results, failures, backlog | a guide and a load generator; no figures of runs with faults were found |
| Cupline, this page | processes, nodes, links, clocks, named points in the work; see above | the whole path from the POST to the client's ack, see the invariants | the figures above, a history for each run, and the seed that repeats it |
`
