# What `cmake --install` puts where: the binary, the libraries with their headers as a package for find_package(moeline),
# the examples. Models, machines and calibrations are carried inside the library.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/moeline)

install(TARGETS moeline)
# Modules lie beside the binary, where they are looked for.
install(TARGETS moeline_host LIBRARY DESTINATION ${CMAKE_INSTALL_BINDIR})
if(TARGET moeline_mpi)
  install(TARGETS moeline_mpi LIBRARY DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
foreach(part model engine reports)
  set_target_properties(moeline_${part} PROPERTIES EXPORT_NAME ${part})
  install(TARGETS moeline_${part} EXPORT moeline
    INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} ${CMAKE_INSTALL_INCLUDEDIR}/moeline)
endforeach()
install(DIRECTORY model/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/moeline FILES_MATCHING PATTERN *.hpp)
install(DIRECTORY engine reports DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/moeline
  FILES_MATCHING PATTERN *.hpp PATTERN studies EXCLUDE PATTERN ranked_exchange.hpp EXCLUDE)  # of the measuring program

install(EXPORT moeline NAMESPACE moeline:: FILE moeline-targets.cmake DESTINATION ${package_dir})
configure_package_config_file(cmake/moeline-config.cmake.in ${PROJECT_BINARY_DIR}/moeline-config.cmake
  INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/moeline-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/moeline-config.cmake ${PROJECT_BINARY_DIR}/moeline-config-version.cmake
  DESTINATION ${package_dir})
install(DIRECTORY examples/ DESTINATION ${CMAKE_INSTALL_DATADIR}/moeline/examples)
