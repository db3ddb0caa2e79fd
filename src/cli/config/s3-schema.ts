import { count, duration, flag, items, optional, section, text, texts, withDefault } from "../../core/config/fields.ts";

const HOST_NAME = /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/;
const BUCKET_NAME = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;

/** The endpoint for S3 clients. It is on when the section stands in the file. */
export const s3 = optional(
  section(
    "The S3 endpoint. It is on when this section is written, be it empty (`s3: {}`). Clients sign with keys of `globalfs key create`.",
    {
      listen_addr: withDefault(
        text(
          "Bind address. Without a host it is loopback, or every interface once there is TLS, or a proxy that does it",
        ),
        ":8091",
      ),
      domains: withDefault(
        texts(
          "Host names below which the first part of the host is the bucket, such as `s3.example.org` for `photos.s3.example.org`; without any, buckets stand in the path only",
        ),
        [],
      ),
      region: withDefault(
        text("What the endpoint calls its region; clients sign with it", {
          pattern: /^[a-z0-9][a-z0-9-]{0,62}$/,
          expected: "lower-case letters, digits and hyphens, such as eu-west-1",
        }),
        "us-east-1",
      ),
      root_bucket: optional(
        text("Shows the whole tree as one bucket of this name, instead of each directory at its top as a bucket", {
          pattern: BUCKET_NAME,
          expected: "3 to 63 lower-case letters, digits, dots and hyphens",
        }),
      ),
      tls: optional(
        section("HTTPS instead of HTTP. The files are read anew on SIGHUP.", {
          cert_file: text("The certificate and those that lead to its issuer, in PEM"),
          key_file: text("Its private key, in PEM"),
        }),
      ),
      allow_anonymous: withDefault(
        flag(
          "Lets policies and access lists of buckets open something to clients that do not sign; otherwise all must",
        ),
        false,
      ),
      signature_v2: withDefault(
        flag(
          "Takes Signature Version 2, too, which libs3, `s3cmd signurl` and boto3's presigned addresses use. It signs neither bodies nor headers other than x-amz-*, Date, Content-Type and Content-MD5, and rests on HMAC-SHA1",
        ),
        false,
      ),
      max_connections: withDefault(
        count(
          "Connections that may be open at once; one more takes the place of one on which nobody has proved who it is, or is closed",
          { min: 1, max: 1_000_000 },
        ),
        10_000,
      ),
      workers: withDefault(
        count(
          "Processes that answer reads, this one among them; the memory of the cache and the connections are shared out among them",
          { min: 1, max: 64 },
        ),
        1,
      ),
      lifecycle_day: withDefault(
        duration(
          "How long a day of lifecycle rules is; shorter ones are for trying them out, and `x-amz-expiration` tells whole days all the same",
          { minMs: 1_000 },
        ),
        86_400_000,
      ),
      webhooks: items(
        "Where event notifications of buckets may go",
        section("A webhook", {
          name: text("What notification configurations call it, in `arn:globalfs:sqs:REGION::NAME`", {
            pattern: /^[A-Za-z0-9_-]{1,64}$/,
            expected: "letters, digits, hyphens and underscores",
          }),
          url: text("Its address", { pattern: /^https?:\/\//, expected: "an http or https address", secret: true }),
          secret: optional(
            text("Known to the receiver, too: messages are then signed with it, in `x-globalfs-signature`", {
              secret: true,
            }),
          ),
        }),
        { nameField: "name" },
      ),
    },
  ),
);

export function isHostName(text: string): boolean {
  return HOST_NAME.test(text);
}
