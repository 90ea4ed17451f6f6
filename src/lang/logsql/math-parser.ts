/** Expressions of the pipe math. Source: docs/logs.md (the VictoriaLogs part). */
import { mathFunctions, mathOperators, type MathExpr, type MathFunction, type MathOperator } from './ast.ts'
import type { QueryLexer } from './lexer.ts'
import { comparableNumberOf } from './numbers.ts'
import { mathText } from './shown.ts'

/** What a number or a field's name ends at. */
const operandEnds = ['=', '+', '-', '*', '/', '%', '^', ',', ')', '|', '!', '']

/** How many arguments a function takes, at least and at most. */
const argumentsOf = {
  abs: [1, 1],
  ceil: [1, 1],
  exp: [1, 1],
  floor: [1, 1],
  ln: [1, 1],
  max: [2, Infinity],
  min: [2, Infinity],
  now: [0, 0],
  rand: [0, 0],
  round: [1, 2],
} as const satisfies Record<MathFunction, readonly [number, number]>

export class MathParser {
  readonly #lexer: QueryLexer

  constructor(lexer: QueryLexer) {
    this.#lexer = lexer
  }

  /** Expressions and the fields that they are set to; without a name it is the expression itself. */
  assignments(): { expr: MathExpr; as: string }[] {
    const lexer = this.#lexer
    const list: { expr: MathExpr; as: string }[] = []
    do {
      const expr = this.#binary(0)
      const isNamed = !lexer.isEndOfPipe && !lexer.is(',')
      if (isNamed) lexer.take('as')
      list.push({ expr, as: isNamed ? lexer.compound('a field') : mathText(expr) })
    } while (lexer.take(','))
    if (!lexer.isEndOfPipe) lexer.fail('"," or the end of the pipe was expected')
    return list
  }

  #binary(level: number): MathExpr {
    const operators: readonly string[] | undefined = mathOperators[level]
    if (operators === undefined) return this.#operand()
    const lexer = this.#lexer
    let left = this.#binary(level + 1)
    while (!lexer.isEnd && operators.includes(lexer.token)) {
      lexer.size.operator(lexer.from)
      const op = lexer.token as MathOperator
      lexer.next()
      left = { kind: 'binary', op, left, right: this.#binary(level + 1) }
    }
    return left
  }

  #operand(): MathExpr {
    return this.#lexer.size.deeper(this.#lexer.from, () => this.#innerOperand())
  }

  #innerOperand(): MathExpr {
    const lexer = this.#lexer
    if (lexer.take('(')) {
      const inner = this.#binary(0)
      lexer.expect(')')
      return inner
    }
    if (lexer.take('-')) return { kind: 'negate', inner: this.#operand() }
    if (lexer.take('+')) return this.#operand()
    const word = lexer.token.toLowerCase()
    const name = lexer.isQuoted ? undefined : mathFunctions.find(one => one === word)
    if (name !== undefined) return this.#call(name)
    const { from } = lexer
    if (!/^[-+]?(?:\.?\d|inf$)/i.test(lexer.token))
      return { kind: 'field', name: lexer.compound('a number, a field or a function', operandEnds) || '_msg' }
    const text = lexer.compound('a number', operandEnds)
    const value = comparableNumberOf(text)
    if (Number.isNaN(value)) lexer.fail(`${JSON.stringify(text)} is no number`, from)
    return { kind: 'number', value, text }
  }

  #call(name: MathFunction): MathExpr {
    const lexer = this.#lexer
    const { from } = lexer
    lexer.next()
    lexer.expect('(')
    const args: MathExpr[] = []
    while (!lexer.take(')')) {
      args.push(this.#binary(0))
      if (!lexer.is(')')) lexer.expect(',')
    }
    const [least, most] = argumentsOf[name]
    if (args.length < least || args.length > most)
      lexer.fail(`${name}() takes ${least === most ? least : `${least} or more`} arguments, not ${args.length}`, from)
    return { kind: 'call', name, args }
  }
}
