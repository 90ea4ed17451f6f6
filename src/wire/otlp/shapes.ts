/** OTLP's messages as shapes: what is counted before one is decoded. Field numbers as in the decoders. */
import type { MessageShape } from '#codec/message-shape.ts'

type Fields = Record<number, MessageShape | 'numbers'>

/** A value holds lists of values (5) and of attributes (6): they are filled in below, for they hold one another. */
const valueFields: Fields = {}
const value: MessageShape = { fields: valueFields }
/** Nearly all are a name and a short value: 40 bytes hold no more than twelve values. */
const attribute: MessageShape = { kind: 'parts', looksFrom: 40, fields: { 2: value } }
valueFields[5] = { kind: 'parts', fields: { 1: { kind: 'parts', fields: valueFields } } }
valueFields[6] = { kind: 'parts', fields: { 1: attribute } }

const resource: MessageShape = { fields: { 1: attribute } }
const scope: MessageShape = { fields: { 3: attribute } }

function request(item: MessageShape): MessageShape {
  const ofScope: MessageShape = { kind: 'items', fields: { 1: scope, 2: item } }
  return { fields: { 1: { kind: 'items', fields: { 1: resource, 2: ofScope } } } }
}

export const logsShape = request({ kind: 'items', fields: { 5: value, 6: attribute } })

const exemplar: MessageShape = { kind: 'parts', fields: { 7: attribute } }
const buckets: MessageShape = { fields: { 2: 'numbers' } }
const points = (fields: Fields): MessageShape => ({ fields: { 1: { kind: 'items', fields } } })

export const metricsShape = request({
  kind: 'items',
  fields: {
    5: points({ 5: exemplar, 7: attribute }),
    7: points({ 5: exemplar, 7: attribute }),
    9: points({ 6: 'numbers', 7: 'numbers', 8: exemplar, 9: attribute }),
    10: points({ 1: attribute, 8: buckets, 9: buckets, 11: exemplar }),
    11: points({ 6: { kind: 'parts', fields: {} }, 7: attribute }),
  },
})

/** Spans alone: the parts of an outline are counted where they are checked. */
export const outlinesShape = request({ kind: 'items', looksFrom: Infinity, fields: {} })

/** Spans with all that they hold. */
export const spansShape = request({
  kind: 'items',
  fields: {
    9: attribute,
    11: { kind: 'parts', fields: { 3: attribute } },
    13: { kind: 'parts', fields: { 4: attribute } },
  },
})
