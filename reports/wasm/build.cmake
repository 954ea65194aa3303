# Configures the browser build if need be, then builds it; one at a time.
#   cmake -DSOURCE=... -DBUILD=... -DEMCC=/usr/share/emscripten/em++ -P build.cmake
file(MAKE_DIRECTORY ${BUILD})
file(LOCK ${BUILD} DIRECTORY)
if(NOT EXISTS ${BUILD}/build.ninja)
  get_filename_component(emscripten ${EMCC} DIRECTORY)
  execute_process(COMMAND ${CMAKE_COMMAND} -G Ninja -S ${SOURCE} -B ${BUILD} -DCMAKE_BUILD_TYPE=MinSizeRel
    -DCMAKE_CXX_FLAGS_MINSIZEREL=-O1 -DCMAKE_TOOLCHAIN_FILE=${emscripten}/cmake/Modules/Platform/Emscripten.cmake
    OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
endif()
# Sliders are optional: what an old Emscripten cannot compile costs the page these, and never the build.
execute_process(COMMAND ${CMAKE_COMMAND} --build ${BUILD} --target what_if RESULT_VARIABLE failed)
if(failed)
  message(WARNING "the model does not compile for browsers (above): pages are built without sliders")
  file(WRITE ${BUILD}/reports/wasm/what_if.js "")
  file(WRITE ${BUILD}/reports/wasm/what_if.wasm "")
endif()
