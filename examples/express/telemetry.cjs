// Loaded before anything else: node --require ./telemetry.cjs server.cjs
// Where it sends to is said by OTEL_EXPORTER_OTLP_ENDPOINT, as everywhere.
const { ExpressInstrumentation } = require('@opentelemetry/instrumentation-express')
const { HttpInstrumentation } = require('@opentelemetry/instrumentation-http')
const { NodeSDK } = require('@opentelemetry/sdk-node')

const sdk = new NodeSDK({ instrumentations: [new HttpInstrumentation(), new ExpressInstrumentation()] })
sdk.start()

// Sends what is left: tests wait for it before they look.
exports.shutdown = () => sdk.shutdown()
