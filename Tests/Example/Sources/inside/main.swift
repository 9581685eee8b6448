// Looks inside the model while it answers: the answer layer by layer, the page, and a head left out.
import Encoder
import Inspection
import Observation
import SpanQA
import SpanQADefaultModel

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

let passage = "The café “Ångström” opened in 1924. 🎉 Its first owner, Zoë Müller, came from Zürich."
let question = "Where did the owner come from?"

let inspector = try Inspector(onnx: DefaultModel.onnx(), tokenizer: DefaultModel.tokenizer(), name: "spanqa-mini")
let report = try inspector.inspect(question, in: passage)
for stage in report.stages { print(stage.name, "—", stage.span.text) }
guard report.answers.first?.text == "Zürich" else { fatalError("the answer is \(report.answers.map(\.text))") }
if let file = CommandLine.arguments.dropFirst().first { try Data(report.html().utf8).write(to: URL(filePath: file)) }

let study = try inspector.ablate(Ablation(heads: [Ablation.Head(layer: 3, head: 7)]), question: question, in: passage)
print("without", study.without.joined(separator: ", "), "—", study.ablated.first?.text ?? "", study.ablated.first?.score ?? 0)

// The values of a pass as they are computed.
guard case .fused(let encoder, _) = try QuestionAnswerer.default.encoder else { fatalError("the embedded model runs node by node") }
let text = try inspector.text(question, in: passage)
var names: [String] = []
let observer = Observer(selecting: { $0.hasSuffix(".attention.probabilities") }, tensor: { names.append("\($0.name) \($0.shape)") })
_ = try encoder.forward(PackedBatch([text.windows[0].ids]), observer: observer)
guard names.count == encoder.configuration.layers else { fatalError("\(names)") }
print(names.joined(separator: "\n"))
