/** What `globalfs config init` writes: a whole, valid file that runs as it is. */
export function configTemplate(): string {
  return `# GlobalFS configuration. Every field: docs/reference/config.md
# Check it with:   globalfs config validate FILE
# Run it with:     GLOBALFS_API_KEY=... globalfs coordinator start --config FILE

global:
  cluster_name: my-cluster
  log_level: INFO            # DEBUG, INFO, WARN, ERROR
  # log_file: /var/log/globalfs.log
  metrics_enabled: true

coordinator:
  # Without a host it listens on loopback only, or on every interface once there are API keys and TLS.
  listen_addr: ":8090"
  # The catalog: which files there are and where their bytes lie. Relative paths start from this file's directory.
  data_dir: ./globalfs-data/catalog

sites:
  # A local directory, so that this file runs as it is.
  - name: onprem
    role: primary            # primary, burst or backup
    store:
      driver: file           # file, memory, s3, gcs or azure
      path: ./globalfs-data/onprem

  - name: cloud
    role: burst
    store:
      driver: file
      path: ./globalfs-data/cloud

  # A bucket. Credentials come from the environment, the profile or the instance role, as the AWS tools find them.
  # - name: cloud
  #   role: burst
  #   objectfs:
  #     s3_bucket: my-cloud-bucket
  #     s3_region: us-east-1
  #     # s3_endpoint: https://minio.example.org:9000

policy:
  rules:
    - name: hot-reads
      key_pattern: "datasets/hot/*"   # glob (* and **), prefix ending in /, or exact key
      operations: [read]              # read, write, delete; empty means all
      target_roles: [primary]         # primary, backup, burst; empty means all
      priority: 10                    # lower goes first

resilience:
  health_poll_interval: 30s
  circuit_breaker:
    enabled: true
    threshold: 5
    cooldown: 30s
  retry:
    enabled: true
    max_attempts: 3
    initial_delay: 100ms
    max_delay: 2s
    multiplier: 2.0

cache:
  enabled: true
  max_bytes: 67108864        # 64 MiB
  ttl: 0                     # 0: entries never expire

performance:
  max_concurrent_transfers: 8
  transfer_chunk_size: 16777216   # 16 MiB

# Who may use the API. Without a key of one kind or the other the coordinator does not start.
# GLOBALFS_API_KEY in its environment is one; these are further ones.
# security:
#   api_keys:
#     - name: alice
#       # "globalfs key generate" makes a key and its hash
#       hash: sha256:...
#   # Instead of keys: every user of this machine may do everything.
#   open: true
`;
}
