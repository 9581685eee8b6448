import CONNXProto
import CProtobufC

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// A `ModelProto` as protobuf-c unpacks it, freed with the object.
final class UnpackedModel {
  /// The message.
  let message: UnsafeMutablePointer<Onnx__ModelProto>
  private let budget: AllocationBudget

  /// Unpacks a serialised `ModelProto`; nil if it is malformed or asks for unreasonably much memory.
  init?(_ bytes: [UInt8]) {
    budget = AllocationBudget(forMessageOf: bytes.count)
    var allocator = budget.allocator
    guard let message = onnx__model_proto__unpack(&allocator, bytes.count, bytes) else { return nil }
    self.message = message
  }

  deinit {
    var allocator = budget.allocator
    onnx__model_proto__free_unpacked(message, &allocator)
  }
}

/// Bounds what protobuf-c allocates: an empty submessage is two bytes in a file and hundreds in memory.
private final class AllocationBudget {
  private var remaining: Int

  /// Enough for any message of `byteCount` bytes whose nodes and tensors say something.
  init(forMessageOf byteCount: Int) {
    let (scaled, overflow) = byteCount.multipliedReportingOverflow(by: 16)
    remaining = overflow ? .max : max(scaled, 1 << 26)
  }

  /// An allocator on this budget, valid for as long as the object lives.
  var allocator: ProtobufCAllocator {
    ProtobufCAllocator(
      alloc: { budget, size in
        guard let budget else { return nil }
        return Unmanaged<AllocationBudget>.fromOpaque(budget).takeUnretainedValue().allocate(size)
      },
      free: { _, memory in free(memory) },
      allocator_data: Unmanaged.passUnretained(self).toOpaque())
  }

  private func allocate(_ size: Int) -> UnsafeMutableRawPointer? {
    guard size <= remaining else { return nil }
    remaining -= size
    return malloc(size)
  }
}
