#include "reports/records.hpp"

#include <fmt/format.h>

#include <vector>

#include "spec/json.hpp"

namespace moeline {
namespace {

using Json = nlohmann::ordered_json;

std::vector<std::string> columns(const Json& records) {
  std::vector<std::string> names;
  if (records.empty()) return names;
  for (const auto& item : records.front().items()) {
    if (item.value().is_primitive()) names.push_back(item.key());
  }
  return names;
}

std::string plain(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

// RFC 4180: quoted where it must be, quotes doubled.
std::string quoted(std::string text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  for (std::size_t at = text.find('"'); at != std::string::npos; at = text.find('"', at + 2)) text.insert(at, 1, '"');
  return "\"" + text + "\"";
}

std::string piped(std::string text) {
  for (std::size_t at = text.find('|'); at != std::string::npos; at = text.find('|', at + 2)) text.insert(at, 1, '\\');
  return text;
}

void collect(const Json& json, const std::string& path, Json& records) {
  if (json.is_object() && json.contains("value") && json.contains("source")) {
    records.push_back(Json{{"path", path}, {"value", plain(json["value"])}, {"source", plain(json["source"])},
                           {"inferred", json.value("inferred", false)}});
  } else if (json.is_object() || json.is_array()) {
    for (const auto& item : json.items()) collect(item.value(), path.empty() ? item.key() : path + "/" + item.key(), records);
  } else {
    records.push_back(Json{{"path", path}, {"value", plain(json)}, {"source", ""}, {"inferred", false}});
  }
}

}  // namespace

std::string records_csv(const Json& records) {
  const std::vector<std::string> names = columns(records);
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ",") + name;
  out += "\n";
  for (const Json& record : records) {
    std::string line;
    for (const std::string& name : names) line += (&name == &names.front() ? "" : ",") + quoted(plain(record.at(name)));
    out += line + "\n";
  }
  return out;
}

std::string records_markdown(const Json& records) {
  std::string head = "|", rule = "|";
  const std::vector<std::string> names = columns(records);
  for (const std::string& name : names) {
    head += " " + name + " |";
    rule += " --- |";
  }
  std::string out = head + "\n" + rule + "\n";
  for (const Json& record : records) {
    out += "|";
    for (const std::string& name : names) out += " " + piped(plain(record.at(name))) + " |";
    out += "\n";
  }
  return out;
}

Json facts(const Json& document) {
  Json records = Json::array();
  collect(document, "", records);
  return records;
}

}  // namespace moeline
