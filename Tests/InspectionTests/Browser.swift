import Foundation

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// A headless Chromium, spoken to in its DevTools protocol through a pipe: JSON messages that end with a zero byte.
final class Browser {
  /// The browser, where it is installed; `SPANQA_CHROMIUM` names another one.
  static let path: String? = {
    let environment = ProcessInfo.processInfo.environment
    if let path = environment["SPANQA_CHROMIUM"] { return path }
    let folders = (environment["PATH"] ?? "").split(separator: ":").map(String.init)
    return ["chromium", "chromium-browser", "google-chrome"].lazy
      .flatMap { name in folders.map { "\($0)/\(name)" } }.first { FileManager.default.isExecutableFile(atPath: $0) }
  }()

  private let process = Process()
  private let (commands, replies) = (Pipe(), Pipe())
  private let profile = FileManager.default.temporaryDirectory.appending(path: "spanqa-browser-\(UUID().uuidString)")
  private var received = Data()
  private var lastID = 0
  private var session: String?

  /// What the page had to say: errors and warnings of its console, exceptions, dialogs, and requests for anything but itself.
  private(set) var complaints: [String] = []

  init() throws {
    guard let path = Self.path else { throw Failure("there is no browser") }
    process.executableURL = URL(filePath: "/bin/sh")
    // The protocol's pipe is descriptors 3 and 4.
    process.arguments =
      ["-c", #"exec "$0" "$@" 3<&0 4>&1 0</dev/null 1>/dev/null 2>/dev/null"#, path, "--headless=new", "--remote-debugging-pipe"]
      + ["--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--user-data-dir=\(profile.path)", "about:blank"]
    process.standardInput = commands
    process.standardOutput = replies
    try process.run()
    let page = try call("Target.createTarget", ["url": "about:blank"])
    let attached = try call("Target.attachToTarget", ["targetId": page["targetId"] ?? "", "flatten": true])
    session = attached["sessionId"] as? String
    for domain in ["Page", "Runtime", "Log", "Network"] { _ = try call("\(domain).enable") }
  }

  deinit {
    process.terminate()
    process.waitUntilExit()
    try? FileManager.default.removeItem(at: profile)
  }

  /// Opens a file and waits until its script has drawn it.
  func open(_ file: URL) throws {
    _ = try call("Page.navigate", ["url": file.absoluteString])
    try wait(for: "document.documentElement?.dataset.drawn === 'true'")
  }

  /// Waits until an expression is true; what was thrown meanwhile says why it is not.
  func wait(for condition: String) throws {
    for _ in 0..<600 {
      if try evaluate(condition) as? Bool == true { return }
      usleep(50_000)
    }
    throw Failure("never true: \(condition); \(complaints)")
  }

  /// The value of an expression of the page's script.
  @discardableResult
  func evaluate(_ expression: String) throws -> Any? {
    let answer = try call("Runtime.evaluate", ["expression": expression, "returnByValue": true, "awaitPromise": true])
    if let details = answer["exceptionDetails"] as? [String: Any] { throw Failure("\(expression): \(details)") }
    return (answer["result"] as? [String: Any])?["value"]
  }

  /// Moves the pointer onto the middle of an element.
  func hover(_ selector: String) throws {
    let expression = """
      (() => { const element = document.querySelector(\(String(reflecting: selector)));
        element.scrollIntoView({ block: "center", behavior: "instant" });
        const box = element.getBoundingClientRect(); return [box.left + box.width / 2, box.top + box.height / 2]; })()
      """
    guard let place = try evaluate(expression) as? [Double], place.count == 2 else { throw Failure("there is no \(selector)") }
    _ = try call("Input.dispatchMouseEvent", ["type": "mouseMoved", "x": place[0], "y": place[1]])
  }

  func press(_ key: String) throws {
    for type in ["keyDown", "keyUp"] { _ = try call("Input.dispatchKeyEvent", ["type": type, "key": key, "code": key]) }
  }

  /// Sets the page's size and colours.
  func show(width: Int, height: Int = 900, isDark: Bool) throws {
    _ = try call(
      "Emulation.setDeviceMetricsOverride", ["width": width, "height": height, "deviceScaleFactor": 1, "mobile": false])
    _ = try call(
      "Emulation.setEmulatedMedia", ["features": [["name": "prefers-color-scheme", "value": isDark ? "dark" : "light"]]])
  }

  /// The whole page as PNG.
  func screenshot() throws -> Data {
    let image = try call("Page.captureScreenshot", ["format": "png", "captureBeyondViewport": true, "clip": try wholePage()])
    guard let text = image["data"] as? String, let data = Data(base64Encoded: text) else { throw Failure("no screenshot") }
    return data
  }

  private func wholePage() throws -> [String: Any] {
    let size = try evaluate("[document.documentElement.clientWidth, document.documentElement.scrollHeight]") as? [Double] ?? [0, 0]
    return ["x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1]
  }

  // MARK: Protocol

  private func call(_ method: String, _ parameters: [String: Any] = [:]) throws -> [String: Any] {
    lastID += 1
    var message: [String: Any] = ["id": lastID, "method": method, "params": parameters]
    if let session { message["sessionId"] = session }
    commands.fileHandleForWriting.write(try JSONSerialization.data(withJSONObject: message) + Data([0]))
    while true {
      let reply = try nextMessage()
      if reply["id"] as? Int == lastID {
        if let error = reply["error"] { throw Failure("\(method): \(error)") }
        return reply["result"] as? [String: Any] ?? [:]
      }
      note(reply)
    }
  }

  private func note(_ event: [String: Any]) {
    guard let method = event["method"] as? String, let parameters = event["params"] as? [String: Any] else { return }
    switch method {
    case "Runtime.exceptionThrown", "Page.javascriptDialogOpening": complaints.append("\(method): \(parameters)")
    case "Runtime.consoleAPICalled":
      if let type = parameters["type"] as? String, ["error", "warning", "assert"].contains(type) { complaints.append("\(parameters)") }
    case "Log.entryAdded": complaints.append("\(parameters["entry"] ?? "")")
    case "Network.requestWillBeSent":
      let url = (parameters["request"] as? [String: Any])?["url"] as? String ?? ""
      if !url.hasPrefix("file:") && url != "about:blank" { complaints.append("a request for \(url)") }
    default: break
    }
  }

  private func nextMessage() throws -> [String: Any] {
    while true {
      if let end = received.firstIndex(of: 0) {
        let message = received[received.startIndex..<end]
        received = Data(received[(end + 1)...])
        return try JSONSerialization.jsonObject(with: message) as? [String: Any] ?? [:]
      }
      var waiting = pollfd(fd: replies.fileHandleForReading.fileDescriptor, events: Int16(POLLIN), revents: 0)
      guard poll(&waiting, 1, 120_000) > 0 else { throw Failure("the browser does not answer") }
      let data = replies.fileHandleForReading.availableData
      if data.isEmpty { throw Failure("the browser has ended") }
      received += data
    }
  }

  struct Failure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
  }
}
