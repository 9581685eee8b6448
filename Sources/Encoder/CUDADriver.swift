#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// What NVIDIA's driver says of this machine. The library is looked up when it is asked for, so nothing depends on it.
public struct CUDADriver: Sendable, Equatable {
  /// Such as 12040 for CUDA 12.4.
  public let version: Int
  /// The devices' names.
  public let devices: [String]

  /// Why there is none.
  public enum Absence: Error, Equatable, CustomStringConvertible {
    case noLibrary(String)
    case noFunction(String, library: String)
    /// A call's error code (`CUresult`).
    case failure(function: String, code: Int32)

    public var description: String {
      switch self {
      case .noLibrary(let name): "no NVIDIA driver (\(name)) was found"
      case .noFunction(let function, let library): "\(library) was found, but it has no \(function)"
      case .failure(let function, let code): "an NVIDIA driver was found, but \(function) failed with code \(code)"
      }
    }
  }

  public static let current: Result<CUDADriver, Absence> = Result { () throws(Absence) in
    try CUDADriver(library: "libcuda.so.1")
  }

  private typealias Initialize = @convention(c) (UInt32) -> Int32
  private typealias GetNumber = @convention(c) (UnsafeMutablePointer<Int32>) -> Int32
  private typealias GetDevice = @convention(c) (UnsafeMutablePointer<Int32>, Int32) -> Int32
  private typealias GetName = @convention(c) (UnsafeMutablePointer<CChar>, Int32, Int32) -> Int32

  /// Asks the driver in a library of this name (CUDA Driver API: cuInit, cuDriverGetVersion, cuDeviceGetCount, cuDeviceGet,
  /// cuDeviceGetName).
  init(library: String) throws(Absence) {
    // Never closed: a driver that has been started stays.
    guard let handle = dlopen(library, RTLD_NOW | RTLD_LOCAL) else { throw .noLibrary(library) }
    func function<Signature>(_ name: String, as signature: Signature.Type) throws(Absence) -> Signature {
      guard let address = dlsym(handle, name) else { throw .noFunction(name, library: library) }
      return unsafeBitCast(address, to: signature)
    }
    func check(_ name: String, _ code: Int32) throws(Absence) {
      if code != 0 { throw .failure(function: name, code: code) }
    }

    try check("cuInit", function("cuInit", as: Initialize.self)(0))
    var (version, count) = (Int32(0), Int32(0))
    try check("cuDriverGetVersion", function("cuDriverGetVersion", as: GetNumber.self)(&version))
    try check("cuDeviceGetCount", function("cuDeviceGetCount", as: GetNumber.self)(&count))
    let getDevice = try function("cuDeviceGet", as: GetDevice.self)
    let getName = try function("cuDeviceGetName", as: GetName.self)
    var devices: [String] = []
    for index in 0..<max(0, count) {
      var device = Int32(0)
      try check("cuDeviceGet", getDevice(&device, index))
      var name = [CChar](repeating: 0, count: 256)
      try check("cuDeviceGetName", getName(&name, Int32(name.count - 1), device))
      devices.append(String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }
    self.version = Int(version)
    self.devices = devices
  }
}

extension CUDADriver: CustomStringConvertible {
  public var description: String {
    "an NVIDIA driver for CUDA \(version / 1000).\(version % 1000 / 10) was found with "
      + (devices.isEmpty ? "no device" : devices.joined(separator: ", "))
  }
}
