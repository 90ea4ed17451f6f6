import { testRecordedAnswers } from './recorded-answers.ts'

testRecordedAnswers('logql')
