import SpanQA
import SpanQADefaultModel

let passage = "The café “Ångström” opened in 1924. 🎉 Its first owner, Zoë Müller, came from Zürich."
let questions = [
  ("When did the café open?", "1924"),
  ("Where did the owner come from?", "Zürich"),
]

let answerer = try QuestionAnswerer.default
for (question, expected) in questions {
  let answer = try answerer.answer(question, in: passage)
  precondition(passage[answer.range] == answer.text)
  guard answer.text == expected else { fatalError("\(question) — \(answer.text), not \(expected)") }
  print("\(question) — \(answer.text) (\(answer.score))")
}

let requests = questions.map { Request(question: $0.0, passage: passage) }
let answers = try await answerer.answer(requests)
guard answers.map(\.text) == questions.map(\.1) else { fatalError("the batch gave other answers: \(answers.map(\.text))") }
print("\(answers.count) answers in one batch")
