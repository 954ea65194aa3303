# page.html: markup, style, program, charts and, where Emscripten is, the model, in one file; and page_file.cpp that
# carries it. Without npm page_file.cpp carries nothing.
set(page_file ${CMAKE_CURRENT_BINARY_DIR}/page_file.cpp)
if(NOT MOELINE_PAGE_FOUND)
  file(CONFIGURE OUTPUT ${page_file} CONTENT "#include \"reports/page.hpp\"

std::string_view moeline::page_template() { return {}; }
")
  return()
endif()

set(page_sources)
foreach(name IN ITEMS build.mjs index.html style.css app.js)
  list(APPEND page_sources ${CMAKE_CURRENT_LIST_DIR}/${name})
endforeach()
file(GLOB_RECURSE page_modules CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*.js)

set(page_model)
if(MOELINE_WHAT_IF_FOUND)
  set(wasm ${MOELINE_PAGE_DIR}/wasm)
  set(page_model ${wasm}/reports/wasm/what_if.js ${wasm}/reports/wasm/what_if.wasm)
  get_filename_component(emscripten ${MOELINE_EMCC} REALPATH)
  # A build of its own, gone on with by every preset; it knows what has changed.
  add_custom_target(what_if_model
    COMMAND ${CMAKE_COMMAND} -E env NODE_PATH=/usr/share/nodejs:/usr/lib/nodejs
            ${CMAKE_COMMAND} -DSOURCE=${PROJECT_SOURCE_DIR} -DBUILD=${wasm} -DEMCC=${emscripten}
            -P ${CMAKE_CURRENT_LIST_DIR}/../wasm/build.cmake
    BYPRODUCTS ${page_model} VERBATIM)
endif()

set(page_html ${CMAKE_CURRENT_BINARY_DIR}/page.html)
add_custom_command(OUTPUT ${page_html} ${page_file}
  COMMAND ${MOELINE_NODE} ${CMAKE_CURRENT_LIST_DIR}/build.mjs ${MOELINE_PAGE_DIR}/npm ${page_html} ${page_file} ${page_model}
  DEPENDS ${page_sources} ${page_modules} ${page_model} ${MOELINE_PAGE_DIR}/npm/fetched VERBATIM)
