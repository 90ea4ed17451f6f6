import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makePolicies, readPrincipals, type PolicyWishes } from './bucket-policies.ts'

const wishes: PolicyWishes = {
  signals: ['metrics', 'logs', 'traces'],
  buckets: { metrics: 'm', logs: 'l', traces: 't' },
  isVersioned: false,
  region: 'us-east-1',
  principals: new Map(),
}

interface Policy {
  Statement: { Sid: string; Principal?: { AWS: string[] }; Action: string[]; Resource: string[] }[]
}

function policyOf(changes: Partial<PolicyWishes>, path: string): Policy {
  return JSON.parse(makePolicies({ ...wishes, ...changes }).files.get(path) ?? '{}') as Policy
}

const actionsOf = ({ Statement }: Policy): string[] => Statement.flatMap(({ Action }) => Action).sort()

test('a component may read, write, delete and list in its own bucket, and no more (req-066, req-124)', () => {
  const policy = policyOf({}, 'user/metrics.json')
  const writing = ['s3:AbortMultipartUpload', 's3:DeleteObject', 's3:GetObject', 's3:ListBucket', 's3:PutObject']
  assert.deepEqual(actionsOf(policy), writing)
  assert.deepEqual(
    policy.Statement.flatMap(({ Resource }) => Resource),
    ['arn:aws:s3:::m', 'arn:aws:s3:::m/*'],
  )
  assert.ok(policy.Statement.every(statement => statement.Principal === undefined))
})

test('role query may list and get in all of them', () => {
  const policy = policyOf({ isVersioned: true }, 'user/query.json')
  assert.deepEqual(actionsOf(policy), ['s3:GetObject', 's3:ListBucket'])
  assert.deepEqual(policy.Statement[0]?.Resource, ['arn:aws:s3:::m', 'arn:aws:s3:::l', 'arn:aws:s3:::t'])
})

test('with versions: they are listed, and removed of what is put conditionally alone', () => {
  const { Statement } = policyOf({ isVersioned: true, region: 'cn-north-1' }, 'user/logs.json')
  assert.deepEqual(Statement[0]?.Action, ['s3:ListBucket', 's3:ListBucketVersions'])
  assert.deepEqual(Statement[2]?.Action, ['s3:DeleteObjectVersion'])
  assert.deepEqual(Statement[2]?.Resource, ['arn:aws-cn:s3:::l/*/tercet/*'])
})

test('policies of buckets let in who is named; a reader where one is named; else they have placeholders', () => {
  const principals = readPrincipals(['metrics=arn:aws:iam:::user/m', 'query=arn:aws:iam::1:role/q'])
  const { Statement } = policyOf({ principals }, 'bucket/m.json')
  assert.deepEqual(
    Statement.map(({ Sid, Principal }) => [Sid, Principal?.AWS]),
    [
      ['MetricsBucket', ['arn:aws:iam:::user/m']],
      ['MetricsObjects', ['arn:aws:iam:::user/m']],
      ['QueryBucket', ['arn:aws:iam::1:role/q']],
      ['QueryObjects', ['arn:aws:iam::1:role/q']],
    ],
  )
  assert.deepEqual(makePolicies({ ...wishes, principals }).unnamed, ['logs', 'traces'])
  assert.deepEqual(policyOf({}, 'bucket/l.json').Statement[0]?.Principal?.AWS, ['ARN-OF-LOGS'])
})

test('a bucket of two signals has one policy with both', () => {
  const buckets = { metrics: 'one', logs: 'one', traces: 't' }
  const { files } = makePolicies({ ...wishes, buckets })
  const paths = [...files.keys()].filter(path => path.startsWith('bucket/'))
  assert.deepEqual(paths, ['bucket/one.json', 'bucket/t.json'])
  assert.deepEqual(
    policyOf({ buckets }, 'bucket/one.json').Statement.map(({ Sid }) => Sid),
    ['MetricsBucket', 'MetricsObjects', 'LogsBucket', 'LogsObjects'],
  )
  assert.equal(makePolicies({ ...wishes, signals: ['logs'] }).files.has('user/traces.json'), false)
})

for (const wrong of ['metrics', 'metrics=', 'metrics=me', 'all=arn:aws:iam:::user/a', 'arn:aws:iam:::user/a'])
  test(`--principal=${wrong} is refused`, () => {
    assert.throws(() => readPrincipals([wrong]), { name: 'BadDataError', message: /is not metrics\|logs\|traces/ })
  })
