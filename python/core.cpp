// What does Python's module `moeline` call? JSON text in, JSON text out, so that no value is converted twice; the
// interpreter's lock is free meanwhile. What users call stands in moeline/__init__.py.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "engine/sweep_run.hpp"
#include "fit/answer.hpp"
#include "fit/check_files.hpp"
#include "fit/fitted_page.hpp"
#include "fit/measurement.hpp"
#include "fit/measurement_files.hpp"
#include "fit/pages.hpp"
#include "reports/check_table.hpp"
#include "reports/report.hpp"
#include "reports/sweep_rows.hpp"
#include "spec/json.hpp"

namespace moeline {
namespace {

std::string evaluated(const std::string& scenario) {
  const Answer answer = answer_to(parse_json(scenario, "scenario"), "scenario");
  if (const Infeasible* why = std::get_if<Infeasible>(&answer.outcome)) return infeasible_json(*why).dump(2) + "\n";
  return render(std::get<Evaluation>(answer.outcome), *answer.scenario, Format::json, {});
}

// One line a point.
std::string swept(const std::string& text, int threads) {
  const Sweep sweep = read_sweep(parse_json(text, "sweep"), "sweep");
  const PointReader reader(sweep, "sweep");
  const SweepSettings settings{
      .where = {}, .pareto = {}, .threads = threads > 0 ? threads : threads_of_this_machine(), .progress = false};
  std::string rows;
  run_sweep(
      sweep, reader, settings, "", [&](const Point& point) { return sweep_json_row(point, reader.columns()); }, nullptr,
      [&](const std::string& row) { rows += row; });
  return rows;
}

// The pages, family by family.
std::string fitted(const std::vector<std::string>& paths, const std::string& source) {
  Json pages = Json::array();
  for (const MeasurementFile& file : measurement_files(paths)) {
    try {
      for (const FamilyData& family : read_families(file.path)) {
        const std::optional<FamilyFit> page = fitted_page(family, source);
        if (!page) continue;
        pages.push_back(to_json(*page));
        pages.back()["device"] = page->key.device;
      }
    } catch (const SpecError&) {
      if (file.named) throw;  // a folder may hold other files
    }
  }
  return pages.dump();
}

std::string checked(const std::vector<std::string>& paths, const std::string& calibration,
                    const std::string& conditions) {
  return check_json(check_files(paths, calibration, conditions_named(conditions))).dump();
}

}  // namespace
}  // namespace moeline

PYBIND11_MODULE(_core, module) {
  namespace py = pybind11;
  py::register_exception_translator([](std::exception_ptr thrown) {
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const moeline::SpecError& error) {
      PyErr_SetString(PyExc_ValueError, error.what());
    }
  });
  const py::call_guard<py::gil_scoped_release> unlocked;
  module.def("evaluate", &moeline::evaluated, unlocked, py::arg("scenario"));
  module.def("sweep", &moeline::swept, unlocked, py::arg("sweep"), py::arg("threads"));
  module.def("fit", &moeline::fitted, unlocked, py::arg("files"), py::arg("source"));
  module.def("check", &moeline::checked, unlocked, py::arg("files"), py::arg("calibration"), py::arg("conditions"));
}
