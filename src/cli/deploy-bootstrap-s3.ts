/** `tercet deploy bootstrap-s3`: makes the buckets. */
import { terminalOutput } from '#ops/output.ts'
import { secretFrom } from '#ops/secret-file.ts'
import { readStackFile } from '#ops/stack-file.ts'
import { jsonFlag, stackFlag } from './common-flags.ts'
import { makeVerb } from './verb.ts'

export const deployBootstrapS3 = makeVerb({
  name: 'deploy bootstrap-s3',
  summary: "Makes the buckets of the stack, and sets versions and expiry there, with an administrator's keys.",
  flags: [
    stackFlag,
    { name: 'access-key-id-file', kind: 'file', help: 'Holds the key; without it AWS_ACCESS_KEY_ID.' },
    { name: 'secret-access-key-file', kind: 'file', help: 'Holds its secret; without it AWS_SECRET_ACCESS_KEY.' },
    {
      name: 'versioning',
      kind: ['on', 'off'],
      fallback: 'on',
      help: 'Whether overwritten and deleted objects are kept.',
    },
    { name: 'noncurrent-days', kind: 'text', placeholder: 'DAYS', fallback: '7', help: 'How long they are kept.' },
    {
      name: 'policies',
      kind: 'text',
      placeholder: 'DIR',
      help: 'Writes the least rights of each component there, as policies of buckets and of users.',
    },
    {
      name: 'principal',
      kind: 'text',
      placeholder: 'COMPONENT=ARN',
      isRepeatable: true,
      help: 'Whom policies of buckets let in: metrics, logs or traces, or query, which only reads.',
    },
    jsonFlag,
  ],
  examples: [
    'tercet deploy bootstrap-s3 --config=stack.yaml --access-key-id-file=admin.id --secret-access-key-file=admin.key',
    'tercet deploy bootstrap-s3 --policies=policies --principal=metrics=arn:aws:iam::123456789012:user/metrics',
  ],
  notes: ["Policies are written, not applied: the store's own tools do that, with an administrator's keys."],
  async run(given) {
    const { bootstrapBuckets } = await import('#ops/bootstrap-buckets.ts')
    await bootstrapBuckets(
      {
        stack: readStackFile(given.optional('config'), undefined).stack,
        accessKeyId: secretFrom(given.optional('access-key-id-file'), 'AWS_ACCESS_KEY_ID'),
        secretAccessKey: secretFrom(given.optional('secret-access-key-file'), 'AWS_SECRET_ACCESS_KEY'),
        noncurrentDays: Number(given.text('noncurrent-days')),
        isVersioned: given.text('versioning') === 'on',
        policiesDirectory: given.optional('policies'),
        principals: given.all('principal'),
        isJson: given.isOn('json'),
      },
      terminalOutput,
    )
    return 0
  },
})
